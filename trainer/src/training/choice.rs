//! Which validation is the best one.

use crate::config::ChooseBy;
use crate::evaluation::Report;

impl ChooseBy {
    /// The figure of a validation that decides.
    pub fn figure(self, report: &Report) -> f64 {
        match self {
            Self::Ndcg => report.ndcg,
            Self::CrossEntropy => report.cross_entropy,
        }
    }

    /// Whether `figure` is better than `other`; an equal one is not.
    pub fn better(self, figure: f64, other: f64) -> bool {
        match self {
            Self::Ndcg => figure > other,
            Self::CrossEntropy => figure < other,
        }
    }
}
