//! What a model takes on a device.

use chord_plan::Bundle;
use chord_runtime::{Arithmetic, Core, Options, ProfileRequirements, Requirements};

use super::InspectError;

/// Describes the memory that the bundle in `bytes` takes on a core, with the default [`Options`]; text of several
/// lines, figures in bytes. On a core without an FPU it has the arena of either arithmetic; the stack is the most of both.
///
/// # Errors
/// The bytes are not a bundle.
pub fn describe_memory(bytes: &[u8], core: Core) -> Result<String, InspectError> {
    let bundle = Bundle::parse(bytes).map_err(InspectError::Bundle)?;
    let Requirements { arena_bytes, plan_bytes } = Requirements::of(&bundle, &Options::default());
    let fixed = (!core.has_fpu())
        .then(|| ("  in fixed point", Requirements::of(&bundle, &fixed_point()).arena_bytes));
    let rows = [("flash, model", bytes.len()), ("RAM, arena", arena_bytes)].into_iter().chain(fixed);
    let rows = rows.chain([("RAM, plan", plan_bytes), ("stack, measured", core.stack_bytes())]);
    let profile = ProfileRequirements::of(&bundle)
        .map(|profile| [("RAM, profile", profile.arena_bytes), ("RAM, embedding", profile.embedding_bytes)]);
    // What comes with each request where the bundle has no item table.
    let manifest = bundle.manifest();
    let row = |items| Requirements::rows_bytes(&bundle, items);
    let request = (manifest.items() == 0)
        .then(|| [("RAM, history rows", row(manifest.window())), ("RAM, 100 candidates", row(100))]);
    let rows = rows.chain(request.into_iter().flatten()).chain(profile.into_iter().flatten());
    let rows = rows.map(|(name, bytes)| format!("{name:<20}{bytes:>10}\n"));
    Ok(format!("bytes on {}\n{}", core.name(), rows.collect::<String>()))
}

/// What an engine is made with for a core without an FPU.
fn fixed_point() -> Options {
    Options { arithmetic: Arithmetic::Fixed, ..Options::default() }
}

#[cfg(test)]
mod tests {
    use chord_plan::Plan;
    use chord_runtime::{Engine, Error};

    use super::*;
    use crate::frozen::encode_plan;
    use crate::frozen::examples::{small, small_caser, small_with_profile};

    /// The figures are what engines take where memory is aligned worst: all of it and not a byte less.
    #[test]
    fn engines_take_the_arena_that_is_told() {
        for model in [small(), small_caser()] {
            let bytes = model.to_bundle().unwrap();
            let bundle = Bundle::parse(&bytes).unwrap();
            let plan = encode_plan(&vec![1; bundle.manifest().channels()], bundle.model(), 1, 8.0).unwrap();
            let plan = Plan::parse(&plan).unwrap();
            let text = describe_memory(&bytes, Core::CortexM0Plus).unwrap();
            let told = |name: &str| -> usize {
                text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().parse().unwrap()
            };
            assert!(told("  in fixed point") < told("RAM, arena"), "{text}");
            for (name, options) in [("RAM, arena", Options::default()), ("  in fixed point", fixed_point())] {
                let needed = told(name);
                let mut words = vec![0u32; needed / 4 + 2];
                let memory = &mut bytemuck::cast_slice_mut(&mut words)[1..];
                let refused = Engine::new(bundle, &plan, &mut memory[..needed - 1], options).err();
                assert_eq!(refused, Some(Error::ArenaTooSmall { needed, given: needed - 1 }), "{name}");
                let mut engine = Engine::new(bundle, &plan, &mut memory[..needed], options).unwrap();
                assert!(engine.score(&[0, 2], &[1], &mut [0.0]).is_ok(), "{name}");
            }
            // With an FPU there is no reason to ask for it.
            assert!(!describe_memory(&bytes, Core::CortexM4).unwrap().contains("fixed point"));
        }
    }

    #[test]
    fn tells_the_requirements() {
        let bundle = small().to_bundle().unwrap();
        let arena = Requirements::of(&Bundle::parse(&bundle).unwrap(), &Options::default()).arena_bytes;
        let text = describe_memory(&bundle, Core::CortexM4).unwrap();
        assert!(text.starts_with("bytes on cortex-m4\nflash, model "), "{text}");
        assert!(text.contains(&format!(" {arena}\n")), "{text}");
        assert!(!text.contains("profile") && !text.contains("rows"), "{text}");
        let text = describe_memory(&small().without_items().to_bundle().unwrap(), Core::CortexM4).unwrap();
        let (arena, rows) =
            (format!(" {arena}\n"), format!("{:<20}{:>10}\n", "RAM, history rows", 23 + 5 * 8));
        assert!(text.contains(&arena) && text.contains(&rows), "{text}");
        let bundle = small_with_profile().to_bundle().unwrap();
        let profile = ProfileRequirements::of(&Bundle::parse(&bundle).unwrap()).unwrap();
        let text = describe_memory(&bundle, Core::CortexM4).unwrap();
        assert!(text.contains(&format!("{:<20}{:>10}\n", "RAM, profile", profile.arena_bytes)), "{text}");
        assert!(describe_memory(b"CP", Core::CortexM4).is_err());
    }
}
