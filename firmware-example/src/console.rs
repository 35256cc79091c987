//! Messages: defmt on Arm, plain text elsewhere, the same lines once the host has decoded them; none in `bare`.

#[cfg(all(target_arch = "arm", not(feature = "bare")))]
use defmt_semihosting as _;

/// Logs at a level, `info` or `error`. The format string takes what defmt and `core::fmt` have in common; floats are
/// left out, because formatting them would take more flash than the engine.
#[cfg(not(feature = "bare"))]
#[macro_export]
macro_rules! log {
    ($level:ident, $format:literal $(, $argument:expr)* $(,)?) => {{
        #[cfg(target_arch = "arm")]
        $crate::defmt::$level!($format $(, $argument)*);
        #[cfg(not(target_arch = "arm"))]
        $crate::semihosting::println!(concat!(stringify!($level), " ", $format) $(, $argument)*);
    }};
}

/// No messages.
#[cfg(feature = "bare")]
#[macro_export]
macro_rules! log {
    ($level:ident, $format:literal $(, $argument:expr)* $(,)?) => {{
        $(let _ = &$argument;)*
    }};
}

/// A number as sign, whole part and thousandths, for `{}{}.{:03}`; rounded towards 0.
pub fn decimal(x: f32) -> (&'static str, u32, u32) {
    let thousandths = (x.abs() * 1000.0) as u32;
    (if x < 0.0 { "-" } else { "" }, thousandths / 1000, thousandths % 1000)
}
