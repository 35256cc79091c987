//! Writing plans (docs/format.md).

use chord_plan::bundle::ModelId;
use chord_plan::plan::{EncodeError, PlanHeader, encode, encoded_len};

/// The plan's bytes for the codes of all channels: number `sequence` of a user of `model`, at `budget` average bits
/// per weight.
///
/// # Errors
/// If a code does not fit two bits.
pub fn encode_plan(codes: &[u8], model: ModelId, sequence: u32, budget: f32) -> Result<Vec<u8>, EncodeError> {
    let budget = (budget * 1000.0).round() as u16;
    let header = PlanHeader { model, sequence, budget, channels: codes.len() as u32 };
    let mut bytes = vec![0; encoded_len(&header).unwrap_or_default()];
    let length = encode(&header, codes, &mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chord_plan::Plan;

    #[test]
    fn a_reader_finds_the_codes_and_the_budget() {
        let bytes = encode_plan(&[0, 1, 2, 3, 1], ModelId([7; 8]), 9, 3.25).unwrap();
        let plan = Plan::parse(&bytes).unwrap();
        assert_eq!(
            *plan.header(),
            PlanHeader { model: ModelId([7; 8]), sequence: 9, budget: 3250, channels: 5 }
        );
        assert!(plan.codes().eq([0, 1, 2, 3, 1]));
        assert_eq!(
            encode_plan(&[0, 4], ModelId([7; 8]), 9, 3.25),
            Err(EncodeError::Code { channel: 1, code: 4 })
        );
    }
}
