//! Bundles and plans as text for people.

mod bundle;
mod memory;
mod plan;

pub use memory::describe_memory;

use chord_plan::bundle::BundleError;
use chord_plan::plan::PlanError;
use chord_plan::{Bundle, Plan};
use thiserror::Error;

/// Why there is nothing to describe.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum InspectError {
    /// The first bytes are those of no format.
    #[error("neither a bundle, which begins with \"CHRD\", nor a plan, which begins with \"CP\": {0}")]
    Unknown(String),
    /// It begins as a bundle and is none.
    #[error("not a bundle: {0}")]
    Bundle(#[source] BundleError),
    /// It begins as a plan and is none.
    #[error("not a plan: {0}")]
    Plan(#[source] PlanError),
    /// What was given as the plan's bundle is none.
    #[error("the model given for the plan is not a bundle: {0}")]
    Model(#[source] BundleError),
    /// The plan is not for the given bundle.
    #[error("the plan does not fit the model: {0}")]
    Mismatch(#[source] PlanError),
    /// A bundle together with a bundle.
    #[error("a model can be given for a plan only, this is a bundle")]
    NotAPlan,
}

/// Describes the bytes of a bundle or of a plan, told apart by their first bytes; text of several lines. With
/// `model`, the bytes of its bundle, a plan is described layer by layer.
///
/// # Errors
/// The bytes are neither, damaged or cut short, or the plan is for another model.
pub fn describe(bytes: &[u8], model: Option<&[u8]>) -> Result<String, InspectError> {
    if bytes.starts_with(&chord_plan::bundle::MAGIC) {
        if model.is_some() {
            return Err(InspectError::NotAPlan);
        }
        let parsed = Bundle::parse(bytes).map_err(InspectError::Bundle)?;
        return Ok(bundle::describe(&parsed, bytes));
    }
    if bytes.starts_with(&chord_plan::plan::MAGIC) {
        let parsed = Plan::parse(bytes).map_err(InspectError::Plan)?;
        let model = model.map(Bundle::parse).transpose().map_err(InspectError::Model)?;
        if let Some(model) = &model {
            parsed.check_against(model).map_err(InspectError::Mismatch)?;
        }
        return Ok(plan::describe(&parsed, bytes.len(), model.as_ref()));
    }
    let start = &bytes[..bytes.len().min(4)];
    Err(InspectError::Unknown(match bytes.len() {
        0 => "it is empty".to_owned(),
        length => format!("{length} bytes beginning with {start:02x?}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frozen::encode_plan;
    use crate::frozen::examples::{sasrec, small, small_caser, small_per_width};

    /// A bundle and a plan for it in which layer by layer all channels have code 0, 1, 2, 3, 0, 1.
    fn files() -> (Vec<u8>, Vec<u8>) {
        let model = small();
        let bundle = model.to_bundle().unwrap();
        let codes: Vec<u8> = (model.manifest().layers().enumerate())
            .flat_map(|(index, layer)| std::iter::repeat_n((index % 4) as u8, layer.outputs))
            .collect();
        let plan = encode_plan(&codes, Bundle::parse(&bundle).unwrap().model(), 7, 3.5).unwrap();
        (bundle, plan)
    }

    #[test]
    fn a_bundle() {
        let (bundle, _) = files();
        let text = describe(&bundle, None).unwrap();
        let fingerprint = Bundle::parse(&bundle).unwrap().fingerprint().to_string();
        let total = bundle.len();
        for part in [
            &format!("bundle, format version 1, {total} bytes"),
            &fingerprint,
            "SASRec, GELU",
            "3 items, 5 positions, dim 4, inner 6, 1 block, 2 heads",
            "codes 0, 1, 2, 3 mean 0, 2, 4, 8 bits",
            "26 in 6 layers, 112 weights",
            "granularity       per channel",
            &format!("{:<20}{:>10}", "layer biases", 4 * 26),
            &format!("{:<16}{:>14}{:>6}{:>12}", "block0.expand", "6 x 4", "all", "1.0000e0"),
            &format!("{:<20}{total:>10}", "total"),
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
    }

    #[test]
    fn a_bundle_without_items() {
        let text = describe(&small().without_items().to_bundle().unwrap(), None).unwrap();
        assert!(text.contains("no item table, 5 positions") && !text.contains("\nitems "), "{text}");
        assert!(text.contains(&format!("{:<20}{:>10}", "item codes", 0)) && !text.contains("NaN"), "{text}");
    }

    #[test]
    fn a_bundle_with_ranges_per_width() {
        let mut model = small_per_width();
        // Channels of the expanding layer at 2, 4 and 8 bits.
        sasrec(&mut model).blocks[0].layers[4].width_ranges = Some([0.25, 0.5, 2.0].repeat(6));
        let text = describe(&model.to_bundle().unwrap(), None).unwrap();
        let line = |bits, range| format!("{:<16}{:>14}{bits:>6}{range:>12}", "block0.expand", "6 x 4");
        for part in [
            "granularity       per width",
            &format!("{:<20}{:>10}", "layer ranges", 4 * 26 * 3),
            &format!("{:<20}{:>10}", "layer biases", 4 * 26 * 4),
            &line(2, "2.5000e-1"),
            &line(4, "5.0000e-1"),
            &line(8, "2.0000e0"),
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
    }

    #[test]
    fn a_bundle_of_caser() {
        let text = describe(&small_caser().to_bundle().unwrap(), None).unwrap();
        for part in [
            "architecture      Caser",
            "3 items, window 3, dim 4, 2 horizontal filters of each height, 2 vertical filters",
            "16 in 6 layers, 126 weights",
            &format!("{:<16}{:>14}{:>6}{:>12}", "horizontal3", "2 x 12", "all", "1.0000e0"),
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
    }

    #[test]
    fn a_plan_alone_and_with_its_bundle() {
        let (bundle, plan) = files();
        let alone = describe(&plan, None).unwrap();
        for part in
            ["plan, format version 1", "sequence          7", "3.500 bits per weight", "26, in 7 bytes"]
        {
            assert!(alone.contains(part), "{part:?} in\n{alone}");
        }
        let model = describe(&plan, Some(&bundle)).unwrap();
        // 16 weights at 0, 2, 4 and 8 bits, 24 at 0 and 24 at 2 bits.
        for part in ["272 bits over 112 weights = 2.428571", "block0.output", "8.000", "block0.contract"] {
            assert!(model.contains(part), "{part:?} in\n{model}");
        }
    }

    #[test]
    fn errors() {
        let (bundle, plan) = files();
        let message = |bytes: &[u8], model: Option<&[u8]>| describe(bytes, model).unwrap_err().to_string();
        assert!(message(b"", None).ends_with("it is empty"));
        assert!(message(b"PK\x03\x04rest", None).ends_with("8 bytes beginning with [50, 4b, 03, 04]"));
        assert!(message(&bundle[..bundle.len() - 1], None).starts_with("not a bundle: "));
        assert!(message(&bundle[..4], None).starts_with("not a bundle: 4 bytes"));
        assert!(message(&plan[..plan.len() - 1], None).starts_with("not a plan: "));
        assert!(message(&plan, Some(&plan)).starts_with("the model given for the plan is not a bundle"));
        assert!(message(&bundle, Some(&bundle)).contains("this is a bundle"));
        let mut other = small();
        other.item_weights[0] += 0.5;
        let other = other.to_bundle().unwrap();
        assert!(
            message(&plan, Some(&other))
                .starts_with("the plan does not fit the model: the plan is for model")
        );
    }
}
