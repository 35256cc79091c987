// CHORD's runtime for C (docs/c-api.md).
//
// `cargo xtask c-header` writes this file from runtime-nostd/src/c_api/.

#ifndef CHORD_H
#define CHORD_H

#include <stddef.h>
#include <stdint.h>

// How a call ended. Values and names stay as they are from version to version; new ones may come.
enum ChordStatus
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // All is well.
  CHORD_STATUS_OK = 0,
  // A pointer is null.
  CHORD_STATUS_NULL_POINTER = 1,
  // A pointer is not aligned to its type.
  CHORD_STATUS_MISALIGNED = 2,
  // A length reaches past the end of the address space.
  CHORD_STATUS_LENGTH = 3,
  // Memory that is written overlaps memory that is read or written.
  CHORD_STATUS_OVERLAP = 4,
  // The pointer is not one that `chord_init` gave, or its memory was written to since.
  CHORD_STATUS_NOT_AN_ENGINE = 5,
  // The engine or the profile is at work already: the call comes from an interrupt or another thread.
  CHORD_STATUS_BUSY = 6,
  // An option has a value that does not exist, in this library or beside the others.
  CHORD_STATUS_UNKNOWN_OPTION = 7,
  // The memory is smaller than `chord_requirements`, or `chord_profile_requirements`, says.
  CHORD_STATUS_MEMORY_TOO_SMALL = 8,
  // There is no room for results.
  CHORD_STATUS_OUTPUT_TOO_SMALL = 9,
  // The pointer is not one that `chord_profile_init` gave, or its memory was written to since.
  CHORD_STATUS_NOT_A_PROFILE = 10,
  // The bytes are no bundle, or its parts contradict each other.
  CHORD_STATUS_BUNDLE_MALFORMED = 16,
  // The bundle is of a format version that this library does not read.
  CHORD_STATUS_BUNDLE_VERSION = 17,
  // The bundle is damaged: its fingerprint does not match.
  CHORD_STATUS_BUNDLE_FINGERPRINT = 18,
  // A number of the bundle is out of range or not finite.
  CHORD_STATUS_BUNDLE_NUMBER = 19,
  // The model's network is one that this library was built without.
  CHORD_STATUS_NETWORK_LEFT_OUT = 20,
  // The bytes are no plan, or its parts contradict each other.
  CHORD_STATUS_PLAN_MALFORMED = 32,
  // The plan is of a format version that this library does not read.
  CHORD_STATUS_PLAN_VERSION = 33,
  // The plan is damaged: its checksum does not match.
  CHORD_STATUS_PLAN_CHECKSUM = 34,
  // The plan is for another model.
  CHORD_STATUS_PLAN_MODEL = 35,
  // The plan has another number of channels than the model.
  CHORD_STATUS_PLAN_CHANNELS = 36,
  // The plan has a code that the model's palette does not use.
  CHORD_STATUS_PLAN_CODE = 37,
  // The plan is older than the one that runs.
  CHORD_STATUS_PLAN_STALE = 38,
  // The plan keeps more bits than `max_budget` allows.
  CHORD_STATUS_PLAN_OVER_BUDGET = 39,
  // There are no items in the history.
  CHORD_STATUS_HISTORY_EMPTY = 48,
  // There are no candidates.
  CHORD_STATUS_CANDIDATES_EMPTY = 49,
  // The model lacks an item of the history.
  CHORD_STATUS_HISTORY_UNKNOWN_ITEM = 50,
  // The model lacks a candidate.
  CHORD_STATUS_CANDIDATES_UNKNOWN_ITEM = 51,
  // The arithmetic overflowed: the model cannot score this history with this plan.
  CHORD_STATUS_NOT_FINITE = 52,
  // An embedding that came with a request has another number of codes than the model's items.
  CHORD_STATUS_EMBEDDING_CODES = 53,
  // The range of an embedding that came with a request is no number that a bundle may hold.
  CHORD_STATUS_EMBEDDING_RANGE = 54,
  // Item rows of the table, and the bundle has no item table: history and candidates come with each request.
  CHORD_STATUS_NO_ITEM_TABLE = 55,
  // Rows appended to a history whose bundle has an item table.
  CHORD_STATUS_ITEM_TABLE = 56,
  // The bytes are no message with item rows, or its parts contradict each other.
  CHORD_STATUS_ROWS_MALFORMED = 57,
  // The item rows are of a format version that this library does not read.
  CHORD_STATUS_ROWS_VERSION = 58,
  // The item rows are damaged: their checksum does not match.
  CHORD_STATUS_ROWS_CHECKSUM = 59,
  // The item rows are of another model.
  CHORD_STATUS_ROWS_MODEL = 60,
  // The model has no profile encoder.
  CHORD_STATUS_NO_PROFILE = 64,
  // A feature or a state of the profile encoder is too large: the interaction was not taken in.
  CHORD_STATUS_PROFILE_OVERFLOW = 65,
  // The user embedding is not finite.
  CHORD_STATUS_EMBEDDING_NOT_FINITE = 66,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum ChordStatus ChordStatus;
#else
typedef int32_t ChordStatus;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// An engine, which lies in the caller's memory with all that it works in.
typedef struct ChordEngine ChordEngine;

// A profile encoder, which lies in the caller's memory with all that it works in.
typedef struct ChordProfile ChordProfile;

// What a caller may trade memory for; all zeros is the default.
typedef struct {
  // Longest history to look at, in items; 0 for the model's window.
  size_t max_history;
  // Tokens that go through a layer together; 0 for the usual number.
  size_t rows_at_once;
  // 0 to read the model in place, 1 to pack the plan's bits into the engine's memory: more RAM, less time.
  uint32_t holding;
  // The largest average of bits per weight, in 1/1000, of plans to be packed: less needs less memory, and a plan beyond
  // is refused; 0 for any plan.
  uint16_t max_budget;
  // 0 for that of docs/numerics.md, 1 for fixed point (docs/fixed-point.md), which a library built with the feature
  // `fixed-point` has, for `holding` 0: other results, for cores without an FPU.
  uint16_t arithmetic;
} ChordOptions;

// Memory for one engine.
typedef struct {
  // Length in bytes of what `chord_init` takes as memory, at any alignment.
  size_t memory_bytes;
  // Longest plan for this model, in bytes.
  size_t plan_bytes;
} ChordRequirements;

// An item with its logit.
typedef struct {
  // Item row.
  uint32_t item;
  // Its logit; finite.
  float logit;
} ChordRanked;

// Memory for one profile encoder.
typedef struct {
  // Length in bytes of what `chord_profile_init` takes as memory, at any alignment.
  size_t memory_bytes;
  // Longest message with a user embedding, in bytes.
  size_t message_bytes;
} ChordProfileRequirements;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Version of this library, `"0.1.0"` say.
const char *chord_version(void);

// How much memory an engine for the bundle takes; null `options` are the default ones.
//
// Looks at the bundle's structure only: `chord_init` checks the rest. On an error `requirements` are 0.
//
// # Safety
// Pointers that are not null are those of as much memory as is said.
ChordStatus chord_requirements(const uint8_t *bundle,
                               size_t bundle_len,
                               const ChordOptions *options,
                               ChordRequirements *requirements);

// Makes an engine in `memory`, with a plan; null `options` are the default ones. `engine` gets its address, null on an
// error.
//
// Takes time linear in the length of the bundle, which it checks completely. The plan is copied. An engine or a profile
// that lay in `memory` may be none after an error either.
//
// # Safety
// Pointers that are not null are those of as much memory as is said. As long as the engine is used, `bundle` stays
// unchanged and nothing but the engine uses `memory`.
ChordStatus chord_init(uint8_t *memory,
                       size_t memory_len,
                       const uint8_t *bundle,
                       size_t bundle_len,
                       const uint8_t *plan,
                       size_t plan_len,
                       const ChordOptions *options,
                       ChordEngine **engine);

// Takes a new plan in place of the running one, which on an error stays. The plan is copied.
//
// One with the running plan's sequence number is taken, an older one is not.
//
// # Safety
// As for all calls on an engine: `engine` is from `chord_init`, whose conditions hold; other pointers that are not
// null are those of as much memory as is said.
ChordStatus chord_apply(ChordEngine *engine,
                        const uint8_t *plan,
                        size_t plan_len);

// Sequence number of the running plan.
//
// # Safety
// As `chord_apply`.
ChordStatus chord_running_plan(ChordEngine *engine, uint32_t *sequence);

// Logits of `candidates` for a history with the newest item last, in the candidates' order.
//
// `logits` has room for as many as there are candidates. Items are rows of the bundle, from 0. On an error `logits`
// may hold anything.
//
// # Safety
// As `chord_apply`.
ChordStatus chord_score(ChordEngine *engine,
                        const uint32_t *history,
                        size_t history_len,
                        const uint32_t *candidates,
                        size_t candidates_len,
                        float *logits);

// `candidates` with their logits, best first: larger logit, then smaller item.
//
// `ranked` has room for as many as there are candidates. All else as `chord_score`.
//
// # Safety
// As `chord_apply`.
ChordStatus chord_rank(ChordEngine *engine,
                       const uint32_t *history,
                       size_t history_len,
                       const uint32_t *candidates,
                       size_t candidates_len,
                       ChordRanked *ranked);

// The best items of the whole catalogue, best first: at most `best_len`. `count` gets how many, 0 on an error.
//
// # Safety
// As `chord_apply`.
ChordStatus chord_top(ChordEngine *engine,
                      const uint32_t *history,
                      size_t history_len,
                      ChordRanked *best,
                      size_t best_len,
                      size_t *count);

// As `chord_rank`, for a history and candidates that came as messages with item rows (docs/format.md), which a bundle
// without item table asks for. An item is called by its place among the candidates, from 0.
//
// `ranked` has room for `ranked_len`, at least as many as there are candidates. `count` gets how many there are, 0 on
// an error. The messages may lie at any alignment; they are free after the call.
//
// # Safety
// As `chord_apply`.
ChordStatus chord_rank_rows(ChordEngine *engine,
                            const uint8_t *history,
                            size_t history_len,
                            const uint8_t *candidates,
                            size_t candidates_len,
                            ChordRanked *ranked,
                            size_t ranked_len,
                            size_t *count);

// How much memory the bundle's profile encoder takes, in either arithmetic. On an error `requirements` are 0.
//
// Looks at the bundle's structure only: `chord_profile_init` checks the rest.
//
// # Safety
// Pointers that are not null are those of as much memory as is said.
ChordStatus chord_profile_requirements(const uint8_t *bundle,
                                       size_t bundle_len,
                                       ChordProfileRequirements *requirements);

// Makes the profile encoder of a user without interactions in `memory`. `profile` gets its address, null on an error.
//
// `arithmetic` is what its steps compute in, as in `ChordOptions`. Takes time linear in the length of the bundle, which it
// checks completely. A profile or an engine that lay in `memory` may be none after an error either.
//
// # Safety
// Pointers that are not null are those of as much memory as is said. As long as the profile is used, `bundle` stays
// unchanged and nothing but the profile uses `memory`.
ChordStatus chord_profile_init(uint8_t *memory,
                               size_t memory_len,
                               const uint8_t *bundle,
                               size_t bundle_len,
                               uint16_t arithmetic,
                               ChordProfile **profile);

// Takes an interaction in, the newest one: an item, by its row of the bundle. On an error the profile is as it was.
//
// # Safety
// As for all calls on a profile: `profile` is from `chord_profile_init`, whose conditions hold; other pointers that are
// not null are those of as much memory as is said.
ChordStatus chord_profile_append(ChordProfile *profile,
                                 uint32_t item);

// Takes interactions in, oldest first, that came as a message with item rows (docs/format.md), which a bundle without
// item table asks for. The message may lie at any alignment; it is free after the call.
//
// After `CHORD_STATUS_PROFILE_OVERFLOW` those before the one that overflowed have been taken in:
// `chord_profile_interactions` tells how many. On any other error the profile is as it was.
//
// # Safety
// As `chord_profile_append`.
ChordStatus chord_profile_append_rows(ChordProfile *profile,
                                      const uint8_t *rows,
                                      size_t rows_len);

// Forgets all interactions.
//
// # Safety
// As `chord_profile_append`.
ChordStatus chord_profile_clear(ChordProfile *profile);

// How many interactions there were since the profile was made or cleared.
//
// # Safety
// As `chord_profile_append`.
ChordStatus chord_profile_interactions(ChordProfile *profile, uint32_t *interactions);

// Writes the message with the user embedding (docs/format.md) that is to be sent where plans are made. `len` gets how
// long it is, 0 on an error.
//
// `message` has room for `message_len` bytes, at least `message_bytes` of the requirements. The profile stays as it is.
//
// # Safety
// As `chord_profile_append`.
ChordStatus chord_profile_message(ChordProfile *profile,
                                  uint8_t *message,
                                  size_t message_len,
                                  size_t *len);

// Name of a status, `"CHORD_STATUS_OK"` say; null for a value that is none.
const char *chord_status_name(int32_t status);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CHORD_H */
