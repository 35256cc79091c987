//! Means over users with their intervals, and differences of rows paired user by user.

use super::figure::Figure;
use super::merge::{Merged, MergedRow};
use crate::evaluation::bootstrap::Interval;
use crate::evaluation::controls::Control;
use crate::evaluation::row::{Kind, Row};
use serde::Serialize;
use std::collections::BTreeMap;

/// A row with its means.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Summarised {
    #[serde(flatten)]
    pub(super) row: Row,
    /// Users behind the means.
    pub(super) users: usize,
    pub(super) figures: BTreeMap<&'static str, Interval>,
}

impl Summarised {
    pub(super) fn figure(&self, figure: Figure) -> &Interval {
        &self.figures[figure.key()]
    }
}

/// Every row's means over its users.
pub(super) fn summaries(merged: &Merged) -> Vec<Summarised> {
    let wanted: Vec<&[f64]> =
        merged.rows.iter().flat_map(|row| Figure::ALL.map(|figure| row.figure(figure))).collect();
    let intervals = intervals(&wanted);
    let summarised = |(row, intervals): (&MergedRow, &[Interval])| Summarised {
        row: row.row.clone(),
        users: row.figure(Figure::Hr5).len(),
        figures: Figure::ALL.iter().map(|f| f.key()).zip(intervals.iter().copied()).collect(),
    };
    merged.rows.iter().zip(intervals.chunks(Figure::ALL.len())).map(summarised).collect()
}

/// CHORD minus another row.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Difference {
    /// Id of CHORD's row.
    pub(super) own: String,
    /// Its name.
    #[serde(skip)]
    pub(super) own_name: String,
    /// Id of the row that is subtracted.
    pub(super) minus: String,
    /// Its name.
    #[serde(skip)]
    pub(super) minus_name: String,
    /// Whether it shows benefit; else only that the model depends on its plan.
    pub(super) benefit: bool,
    /// Users that both have.
    pub(super) users: usize,
    pub(super) figures: BTreeMap<&'static str, Interval>,
}

/// What differences are taken of.
pub(super) const COMPARED: [Figure; 5] =
    [Figure::Ndcg10, Figure::Hr10, Figure::CrossEntropy, Figure::CalibratedCrossEntropy, Figure::LogRank];

/// CHORD at each budget minus every row without a budget and every other row of the same one.
pub(super) fn differences(merged: &Merged) -> Vec<Difference> {
    let own_rows = merged.rows.iter().filter(|row| row.row.kind == Kind::Personal);
    let pairs = own_rows.flat_map(|own| {
        let fits = move |other: &&MergedRow| {
            let same_budget = other.row.budget.is_none() || other.row.budget == own.row.budget;
            other.row.kind != Kind::Personal && same_budget
        };
        merged.rows.iter().filter(fits).map(move |other| (own, other))
    });
    let pairs: Vec<_> = pairs.collect();
    let paired: Vec<[Vec<f64>; 5]> =
        pairs.iter().map(|(own, other)| COMPARED.map(|figure| minus(own, other, figure))).collect();
    let wanted: Vec<&[f64]> = paired.iter().flatten().map(Vec::as_slice).collect();
    let intervals = intervals(&wanted);
    let difference = |((own, other), intervals): (&(&MergedRow, &MergedRow), &[Interval])| Difference {
        own: own.row.id.clone(),
        own_name: own.row.name.clone(),
        minus: other.row.id.clone(),
        minus_name: other.row.name.clone(),
        benefit: !matches!(other.row.kind, Kind::Control(Control::Swapped | Control::Random)),
        users: other.figure(Figure::Hr5).len(),
        figures: COMPARED.iter().map(|f| f.key()).zip(intervals.iter().copied()).collect(),
    };
    pairs.iter().zip(intervals.chunks(COMPARED.len())).map(difference).collect()
}

/// `own` has all users; `other` may have some of them.
fn minus(own: &MergedRow, other: &MergedRow, figure: Figure) -> Vec<f64> {
    let (own, theirs) = (own.figure(figure), other.figure(figure));
    match &other.cases {
        None => own.iter().zip(theirs).map(|(a, b)| a - b).collect(),
        Some(cases) => cases.iter().zip(theirs).map(|(&case, b)| own[case as usize] - b).collect(),
    }
}

/// Intervals in the order of `figures`; those of equally many users are resampled together.
fn intervals(figures: &[&[f64]]) -> Vec<Interval> {
    let mut by_users: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    figures.iter().enumerate().for_each(|(i, f)| by_users.entry(f.len()).or_default().push(i));
    let found = by_users.values().flat_map(|indices| {
        let together: Vec<&[f64]> = indices.iter().map(|&i| figures[i]).collect();
        indices.iter().copied().zip(Interval::of_all(&together)).collect::<Vec<_>>()
    });
    let found: BTreeMap<usize, Interval> = found.collect();
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::super::merge::tests::fake;
    use super::*;

    #[test]
    fn differences_pair_users_and_keep_dependence_apart() {
        let desk = tempfile::tempdir().unwrap();
        let merged = Merged::open(&[fake(&desk.path().join("a"), &[], 4)]).unwrap();
        let found = differences(&merged);
        let told: Vec<_> = found.iter().map(|d| (d.minus.as_str(), d.benefit, d.users)).collect();
        assert_eq!(
            told,
            [("fp32", true, 3), ("personal@3.swapped", false, 3), ("fine_tuned", true, 2)],
            "in the order of the rows"
        );
        // Cross-entropies are the ranks: (0 + 0 + 20) - (4 + 9 + 10) over 3 users; (0 - 0) + (20 - 4) over 2.
        assert!((found[0].figures["cross_entropy"].mean + 1.0).abs() < 1e-12);
        assert_eq!(found[2].figures["cross_entropy"].mean, 8.0);
        assert_eq!(found[2].figures["hr10"].mean, -0.5);
        let rows = summaries(&merged);
        assert_eq!(rows[3].users, 2);
        assert_eq!(rows[3].figure(Figure::Hr5).mean, 1.0);
    }
}
