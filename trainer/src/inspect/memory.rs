//! What a model takes on a device.

use chord_plan::Bundle;
use chord_runtime::{Core, Options, ProfileRequirements, Requirements};

use super::InspectError;

/// Describes the memory that the bundle in `bytes` takes on a core, with the default [`Options`]; text of several
/// lines, figures in bytes.
///
/// # Errors
/// The bytes are not a bundle.
pub fn describe_memory(bytes: &[u8], core: Core) -> Result<String, InspectError> {
    let bundle = Bundle::parse(bytes).map_err(InspectError::Bundle)?;
    let Requirements { arena_bytes, plan_bytes } = Requirements::of(&bundle, &Options::default());
    let rows = [
        ("flash, model", bytes.len()),
        ("RAM, arena", arena_bytes),
        ("RAM, plan", plan_bytes),
        ("stack, measured", core.stack_bytes()),
    ];
    let profile = ProfileRequirements::of(&bundle)
        .map(|profile| [("RAM, profile", profile.arena_bytes), ("RAM, embedding", profile.embedding_bytes)]);
    // What comes with each request where the bundle has no item table.
    let manifest = bundle.manifest();
    let row = |items| Requirements::rows_bytes(&bundle, items);
    let request = (manifest.items() == 0)
        .then(|| [("RAM, history rows", row(manifest.window())), ("RAM, 100 candidates", row(100))]);
    let rows = rows.into_iter().chain(request.into_iter().flatten()).chain(profile.into_iter().flatten());
    let rows = rows.map(|(name, bytes)| format!("{name:<20}{bytes:>10}\n"));
    Ok(format!("bytes on {}\n{}", core.name(), rows.collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frozen::examples::{small, small_with_profile};

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
