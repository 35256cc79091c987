//! What is measured of one user.

use crate::evaluation::ndcg;
use crate::evaluation::saved::Measured;
use serde::Serialize;

/// A figure of one user under one row; tables show means over users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Figure {
    /// 1 if the target is among the first 5.
    Hr5,
    /// 1 if the target is among the first 10.
    Hr10,
    /// Gain of the target, cut at 5.
    Ndcg5,
    /// Gain of the target, cut at 10.
    Ndcg10,
    /// Of the target, in nats.
    CrossEntropy,
    /// The same at the temperature fitted on validation.
    CalibratedCrossEntropy,
    /// ln(rank + 1), rank from 0.
    LogRank,
    /// 1 if the target is among the first 10 of itself and 99 sampled items.
    SampledHr10,
    /// Gain of the target among itself and 99 sampled items, cut at 10.
    SampledNdcg10,
}

impl Figure {
    pub(super) const ALL: [Self; 9] = [
        Self::Hr5,
        Self::Hr10,
        Self::Ndcg5,
        Self::Ndcg10,
        Self::CrossEntropy,
        Self::CalibratedCrossEntropy,
        Self::LogRank,
        Self::SampledHr10,
        Self::SampledNdcg10,
    ];

    /// As in the heads of tables.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Hr5 => "HR@5",
            Self::Hr10 => "HR@10",
            Self::Ndcg5 => "NDCG@5",
            Self::Ndcg10 => "NDCG@10",
            Self::CrossEntropy => "CE",
            Self::CalibratedCrossEntropy => "calibrated CE",
            Self::LogRank => "log-rank",
            Self::SampledHr10 => "sampled-99 HR@10",
            Self::SampledNdcg10 => "sampled-99 NDCG@10",
        }
    }

    /// As in the heads of CSV files and in JSON.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Hr5 => "hr5",
            Self::Hr10 => "hr10",
            Self::Ndcg5 => "ndcg5",
            Self::Ndcg10 => "ndcg10",
            Self::CrossEntropy => "cross_entropy",
            Self::CalibratedCrossEntropy => "calibrated_cross_entropy",
            Self::LogRank => "log_rank",
            Self::SampledHr10 => "sampled99_hr10",
            Self::SampledNdcg10 => "sampled99_ndcg10",
        }
    }

    pub(super) fn of(self, user: &Measured) -> f64 {
        match self {
            Self::Hr5 => f64::from(user.rank < 5),
            Self::Hr10 => f64::from(user.rank < 10),
            Self::Ndcg5 => ndcg(&[user.rank], 5),
            Self::Ndcg10 => ndcg(&[user.rank], 10),
            Self::CrossEntropy => f64::from(user.cross_entropy),
            Self::CalibratedCrossEntropy => f64::from(user.calibrated_cross_entropy),
            Self::LogRank => (f64::from(user.rank) + 1.0).ln(),
            Self::SampledHr10 => f64::from(user.sampled_rank < 10),
            Self::SampledNdcg10 => ndcg(&[user.sampled_rank], 10),
        }
    }
}
