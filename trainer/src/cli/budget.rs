//! Budgets on the command line.

/// Bits of the widest palette: more would promise a precision that no plan has.
const WIDEST: f32 = 8.0;

/// An average of bits per weight. The narrowest one that can be met depends on the run's palette, and is checked there.
pub(super) fn parse(text: &str) -> Result<f32, String> {
    let bits: f32 = text.parse().map_err(|_| "not a number of bits".to_owned())?;
    match bits {
        bits if bits.is_nan() => Err("not a number of bits".to_owned()),
        bits if bits > WIDEST => {
            Err(format!("a budget of {bits} bits exceeds the widest channels, which have {WIDEST}"))
        }
        bits => Ok(bits),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn up_to_eight_bits() {
        assert_eq!((parse("8"), parse("2.5"), parse("-1")), (Ok(8.0), Ok(2.5), Ok(-1.0)));
        assert_eq!(
            parse("8.1").unwrap_err(),
            "a budget of 8.1 bits exceeds the widest channels, which have 8"
        );
        assert!(parse("inf").unwrap_err().contains("exceeds"));
        assert_eq!(parse("NaN"), parse("many"));
    }
}
