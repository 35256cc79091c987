//! The profile encoder from C.

use chord_plan::Bundle;

use super::memory::{Region, apart, input, output};
use super::object::{self, ChordProfile, InUse};
use super::status::ChordStatus;
use super::{arithmetic, item_rows, status};
use crate::{Profile, ProfileRequirements};

/// Memory for one profile encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChordProfileRequirements {
    /// Length in bytes of what `chord_profile_init` takes as memory, at any alignment.
    pub memory_bytes: usize,
    /// Longest message with a user embedding, in bytes.
    pub message_bytes: usize,
}

/// How much memory the bundle's profile encoder takes, in either arithmetic. On an error `requirements` are 0.
///
/// Looks at the bundle's structure only: `chord_profile_init` checks the rest.
///
/// # Safety
/// Pointers that are not null are those of as much memory as is said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chord_profile_requirements(
    bundle: *const u8,
    bundle_len: usize,
    requirements: *mut ChordProfileRequirements,
) -> ChordStatus {
    status(|| {
        apart(Region::of(requirements, 1)?, &[Region::of(bundle, bundle_len)])?;
        // SAFETY: the caller's contract; what is written lies apart from what is read.
        let bundle = unsafe {
            requirements.write(ChordProfileRequirements::default());
            input(bundle, bundle_len)?
        };
        let found = ProfileRequirements::of(&Bundle::parse_trusted(bundle)?).ok_or(ChordStatus::NoProfile)?;
        let memory_bytes = object::memory_bytes::<ChordProfile>(found.arena_bytes);
        let found = ChordProfileRequirements { memory_bytes, message_bytes: found.embedding_bytes };
        // SAFETY: as above.
        unsafe { requirements.write(found) };
        Ok(())
    })
}

/// Makes the profile encoder of a user without interactions in `memory`. `profile` gets its address, null on an error.
///
/// `arithmetic` is what its steps compute in, as in `ChordOptions`. Takes time linear in the length of the bundle, which it
/// checks completely. A profile or an engine that lay in `memory` may be none after an error either.
///
/// # Safety
/// Pointers that are not null are those of as much memory as is said. As long as the profile is used, `bundle` stays
/// unchanged and nothing but the profile uses `memory`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chord_profile_init(
    memory: *mut u8,
    memory_len: usize,
    bundle: *const u8,
    bundle_len: usize,
    arithmetic: u16,
    profile: *mut *mut ChordProfile,
) -> ChordStatus {
    status(|| {
        let (written, room) = (Region::of(profile, 1)?, Region::of(memory, memory_len));
        let read = Region::of(bundle, bundle_len);
        apart(written, &[room, read])?;
        // SAFETY: the caller's contract; what is written lies apart from what is read.
        unsafe { profile.write(core::ptr::null_mut()) };
        apart(room?, &[read])?;
        // SAFETY: as above.
        let bundle = Bundle::parse(unsafe { input(bundle, bundle_len)? })?;
        let arithmetic = self::arithmetic(arithmetic)?;
        // SAFETY: as above.
        unsafe {
            let made = object::place(memory, memory_len, |arena| {
                Profile::with_arithmetic(bundle, arena, arithmetic)
            })?;
            profile.write(made);
        }
        Ok(())
    })
}

/// Takes an interaction in, the newest one: an item, by its row of the bundle. On an error the profile is as it was.
///
/// # Safety
/// As for all calls on a profile: `profile` is from `chord_profile_init`, whose conditions hold; other pointers that are
/// not null are those of as much memory as is said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chord_profile_append(profile: *mut ChordProfile, item: u32) -> ChordStatus {
    // SAFETY: the caller's contract.
    status(|| Ok(unsafe { InUse::take(profile)? }.append(item)?))
}

/// Takes interactions in, oldest first, that came as a message with item rows (docs/format.md), which a bundle without
/// item table asks for. The message may lie at any alignment; it is free after the call.
///
/// After `CHORD_STATUS_PROFILE_OVERFLOW` those before the one that overflowed have been taken in:
/// `chord_profile_interactions` tells how many. On any other error the profile is as it was.
///
/// # Safety
/// As `chord_profile_append`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chord_profile_append_rows(
    profile: *mut ChordProfile,
    rows: *const u8,
    rows_len: usize,
) -> ChordStatus {
    status(|| {
        // SAFETY: the caller's contract.
        let mut profile = unsafe { InUse::take(profile)? };
        apart(profile.memory(), &[Region::of(rows, rows_len)])?;
        // SAFETY: the caller's contract.
        let rows = item_rows(unsafe { input(rows, rows_len)? }, profile.bundle())?;
        Ok(profile.append_items(rows)?)
    })
}

/// Forgets all interactions.
///
/// # Safety
/// As `chord_profile_append`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chord_profile_clear(profile: *mut ChordProfile) -> ChordStatus {
    status(|| {
        // SAFETY: the caller's contract.
        unsafe { InUse::take(profile)? }.clear();
        Ok(())
    })
}

/// How many interactions there were since the profile was made or cleared.
///
/// # Safety
/// As `chord_profile_append`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chord_profile_interactions(
    profile: *mut ChordProfile,
    interactions: *mut u32,
) -> ChordStatus {
    status(|| {
        // SAFETY: the caller's contract.
        let profile = unsafe { InUse::take(profile)? };
        apart(Region::of(interactions, 1)?, &[Ok(profile.memory())])?;
        // SAFETY: checked; the caller's contract.
        unsafe { interactions.write(profile.interactions()) };
        Ok(())
    })
}

/// Writes the message with the user embedding (docs/format.md) that is to be sent where plans are made. `len` gets how
/// long it is, 0 on an error.
///
/// `message` has room for `message_len` bytes, at least `message_bytes` of the requirements. The profile stays as it is.
///
/// # Safety
/// As `chord_profile_append`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chord_profile_message(
    profile: *mut ChordProfile,
    message: *mut u8,
    message_len: usize,
    len: *mut usize,
) -> ChordStatus {
    status(|| {
        // SAFETY: the caller's contract.
        let mut profile = unsafe { InUse::take(profile)? };
        let (counted, memory) = (Region::of(len, 1)?, Ok(profile.memory()));
        apart(counted, &[memory])?;
        // SAFETY: checked; the caller's contract.
        unsafe { len.write(0) };
        apart(Region::of(message, message_len)?, &[memory, Ok(counted)])?;
        // SAFETY: the caller's contract; what is written lies apart from the profile.
        let written = profile.message(unsafe { output(message, message_len)? })?.len();
        // SAFETY: as above.
        unsafe { len.write(written) };
        Ok(())
    })
}
