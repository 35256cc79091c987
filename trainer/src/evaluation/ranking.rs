//! The rank of the held-out item among all items.

use crate::exponential;
use thiserror::Error;

/// What one user's logits say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Items ranked before the target; ties count against it.
    pub rank: u32,
    /// `-ln softmax(logits)[target]`.
    pub cross_entropy: f64,
}

/// Why an evaluation has no result.
#[derive(Debug, Error)]
pub enum EvaluationError {
    /// A model that diverged must not look good.
    #[error("user {user}: the logit of item row {item} is {logit}")]
    NotFinite {
        /// User row.
        user: usize,
        /// Item row.
        item: usize,
        /// As computed.
        logit: f32,
    },
    /// Nobody has enough interactions.
    #[error("no user has the 3 interactions that leave-one-out evaluation needs")]
    NoCases,
    /// A budget or score the allocator cannot serve.
    #[error(transparent)]
    Allocation(#[from] crate::allocator::AllocationError),
    /// The frozen model cannot be built.
    #[error(transparent)]
    Frozen(#[from] crate::frozen::FrozenError),
    /// The runtime refused.
    #[error("user {user}: {message}")]
    Runtime {
        /// User row.
        user: usize,
        /// What it said.
        message: String,
    },
}

/// Ranks `target` among all `logits` (one for each item row), pessimistically.
///
/// # Errors
/// If a logit is not finite.
pub fn outcome(user: usize, logits: &[f32], target: u32) -> Result<Outcome, EvaluationError> {
    // Without a way out of the loop, which vectors would not take.
    if !logits.iter().fold(true, |all, l| all & l.is_finite()) {
        let item = logits.iter().position(|l| !l.is_finite()).unwrap_or_default();
        return Err(EvaluationError::NotFinite { user, item, logit: logits[item] });
    }
    let own = logits[target as usize];
    let not_below = logits.iter().filter(|&&l| l >= own).count();
    Ok(Outcome { rank: not_below as u32 - 1, cross_entropy: cross_entropy(logits, target, 1.0) })
}

/// `-ln softmax(logits / temperature)[target]`, in nats.
pub(super) fn cross_entropy(logits: &[f32], target: u32, temperature: f64) -> f64 {
    let largest = exponential::largest(logits);
    let inverse = 1.0 / temperature;
    exponential::sum(logits, largest, inverse as f32).ln()
        - f64::from(logits[target as usize] - largest) * inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_against_the_target() {
        assert_eq!(outcome(0, &[1.0, 3.0, 1.0, 1.0], 2).unwrap().rank, 3);
        assert_eq!(outcome(0, &[1.0, 3.0, 1.0, 1.0], 1).unwrap().rank, 0);
    }

    #[test]
    fn cross_entropy_is_that_of_the_softmax() {
        let found = outcome(0, &[0.0, 0.0, 0.0, 0.0], 0).unwrap().cross_entropy;
        assert!((found - 4f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn a_logit_that_is_not_finite_is_an_error() {
        assert!(matches!(
            outcome(7, &[0.0, f32::NAN], 0),
            Err(EvaluationError::NotFinite { user: 7, item: 1, .. })
        ));
    }
}
