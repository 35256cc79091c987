use serde::{Deserialize, Serialize};

use super::{DataError, Dataset, Sequences, Times};

/// The shortest sequence that leave-one-out can train, validate and test on.
pub const MIN_EVALUATED: usize = 3;

/// Which held-out interaction is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The last but one, or the first after the first cut.
    Validation,
    /// The last, or the first after the second cut.
    Test,
}

impl Split {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// How interactions are held out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SplitRule {
    /// Each user's last two.
    LeaveOneOut,
    /// What comes after two points in time, the same for all users.
    Temporal {
        /// Share of all interactions between the cuts.
        validation_share: f64,
        /// Share of all interactions after the second cut.
        test_share: f64,
    },
}

/// One question to a recommender: what did this user choose after this history?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case<'a> {
    /// User row.
    pub user: usize,
    /// Item rows before the target, oldest first.
    pub history: &'a [u32],
    /// The item row that followed.
    pub target: u32,
}

/// What is for training and what is held out.
///
/// - Leave-one-out over time, as in SASRec (Kang and McAuley, 2018): of `n >= 3` interactions the last is the test
///   target, the last but one the validation target, the rest is for training. Shorter users are for training only.
/// - Temporal, with cuts in time that all users share: interactions up to the first cut are for training. A user's
///   validation target is their first interaction after the first cut and up to the second, their test target the
///   first after the second; where there is none, or nothing before it, the user has no such case.
#[derive(Debug, Clone, Copy)]
pub struct HeldOut<'a> {
    sequences: &'a Sequences,
    cuts: Option<Cuts<'a>>,
    reserved: f64,
}

/// The last points in time that belong to training and to validation.
#[derive(Debug, Clone, Copy)]
struct Cuts<'a> {
    times: &'a Times,
    train: f64,
    validation: f64,
}

impl<'a> HeldOut<'a> {
    /// Leave-one-out of these sequences.
    #[must_use]
    pub fn new(sequences: &'a Sequences) -> Self {
        Self { sequences, cuts: None, reserved: 0.0 }
    }

    /// The data set under `rule`, see [`Dataset::split`].
    pub(super) fn of(dataset: &'a Dataset, rule: SplitRule) -> Result<Self, DataError> {
        let name = || dataset.name.clone();
        let cuts = match rule {
            SplitRule::LeaveOneOut => None,
            SplitRule::Temporal { validation_share, test_share } => {
                let times = dataset.times.as_ref().ok_or_else(|| DataError::Untimed { name: name() })?;
                let train = times.cut(validation_share + test_share);
                Some(Cuts { times, train, validation: times.cut(test_share) })
            }
        };
        let split = Self { sequences: &dataset.sequences, cuts, reserved: 0.0 };
        if (0..split.users()).all(|user| split.train(user).len() < 2) {
            return Err(DataError::NothingToTrain { name: name() });
        }
        for which in [Split::Validation, Split::Test] {
            if split.cases(which).next().is_none() {
                return Err(DataError::NobodyHeldOut { name: name(), which });
            }
        }
        Ok(split)
    }

    /// The same without the newest `share` of each user's training items, which are for a second level of training;
    /// see [`HeldOut::reserved`].
    #[must_use]
    pub fn reserving(self, share: f64) -> Self {
        Self { reserved: share, ..self }
    }

    /// How many of a user's newest training items a second level of training has for itself: `share` of all interactions,
    /// rounded so that users with few give one now and then, but never so many that fewer than three are left.
    ///
    /// # Panics
    /// If `user` is not below [`HeldOut::users`].
    #[must_use]
    pub fn reserved(&self, user: usize, share: f64) -> usize {
        const LEAST_LEFT: usize = 3;
        let before = |n: usize| (n as f64 * share) as usize;
        let range = self.sequences.range(user);
        (before(range.end) - before(range.start)).min(self.all_train(user).len().saturating_sub(LEAST_LEFT))
    }

    /// Number of users, those without cases included.
    #[must_use]
    pub fn users(&self) -> usize {
        self.sequences.len()
    }

    /// The item rows of user row `user` for training, oldest first.
    ///
    /// # Panics
    /// If `user` is not below [`HeldOut::users`].
    #[must_use]
    pub fn train(&self, user: usize) -> &'a [u32] {
        let items = self.all_train(user);
        &items[..items.len() - self.reserved(user, self.reserved)]
    }

    fn all_train(&self, user: usize) -> &'a [u32] {
        let items = self.sequences.user(user);
        let known = match self.cuts {
            Some(cuts) => cuts.known(self.sequences, user, cuts.train),
            None if items.len() < MIN_EVALUATED => items.len(),
            None => items.len() - 2,
        };
        &items[..known]
    }

    /// The case of one user, if they have one.
    ///
    /// # Panics
    /// If `user` is not below [`HeldOut::users`].
    #[must_use]
    pub fn case(&self, user: usize, split: Split) -> Option<Case<'a>> {
        let items = self.sequences.user(user);
        let (known, end) = match (self.cuts, split) {
            (Some(cuts), Split::Validation) => {
                let known = |cut| cuts.known(self.sequences, user, cut);
                (known(cuts.train), known(cuts.validation))
            }
            (Some(cuts), Split::Test) => (cuts.known(self.sequences, user, cuts.validation), items.len()),
            (None, _) if items.len() < MIN_EVALUATED => return None,
            (None, Split::Validation) => (items.len() - 2, items.len()),
            (None, Split::Test) => (items.len() - 1, items.len()),
        };
        (0 < known && known < end).then(|| Case { user, history: &items[..known], target: items[known] })
    }

    /// One case for each user that has one, by user row.
    pub fn cases(&self, split: Split) -> impl Iterator<Item = Case<'a>> + use<'a> {
        let this = *self;
        (0..this.users()).filter_map(move |user| this.case(user, split))
    }
}

impl Cuts<'_> {
    /// How many of the user's interactions had happened by `cut`.
    fn known(&self, sequences: &Sequences, user: usize, cut: f64) -> usize {
        self.times[sequences.range(user)].partition_point(|&time| time <= cut)
    }
}

#[cfg(test)]
mod tests {
    use super::super::DatasetBuilder;
    use super::*;

    #[test]
    fn holds_out_the_last_two() {
        let sequences: Sequences = [&[1, 2, 3, 4][..], &[5, 6], &[7, 8, 9], &[]].into_iter().collect();
        let split = HeldOut::new(&sequences);
        let train: Vec<_> = (0..split.users()).map(|user| split.train(user)).collect();
        assert_eq!(train, [&[1, 2][..], &[5, 6], &[7], &[]]);
        let cases = |which| split.cases(which).map(|c| (c.user, c.history, c.target)).collect::<Vec<_>>();
        assert_eq!(cases(Split::Validation), [(0, &[1, 2][..], 3), (2, &[7], 8)]);
        assert_eq!(cases(Split::Test), [(0, &[1, 2, 3][..], 4), (2, &[7, 8], 9)]);
    }

    #[test]
    fn the_newest_are_reserved_and_cases_stay() {
        let lengths = [2, 5, 6, 7, 22, 102];
        let sequences: Sequences = (lengths.iter()).map(|&n| (0..n).collect::<Vec<u32>>()).collect();
        let split = HeldOut::new(&sequences);
        let left = |share| -> Vec<usize> {
            (0..split.users()).map(|user| split.reserving(share).train(user).len()).collect()
        };
        assert_eq!(left(0.0), [2, 3, 4, 5, 20, 100]);
        assert_eq!(left(0.1), [2, 3, 3, 4, 18, 90]);
        for which in [Split::Validation, Split::Test] {
            assert!(split.cases(which).eq(split.reserving(0.1).cases(which)));
        }
    }

    fn dataset(rows: &[(&str, &str, Option<f64>)]) -> Dataset {
        let mut builder = DatasetBuilder::new("d");
        rows.iter().for_each(|&(user, item, time)| builder.push(user, item, None, time));
        builder.build().unwrap()
    }

    #[test]
    fn cuts_time_for_all_users_at_once() {
        // Ten interactions: those at 7 and 8 are for validation, those at 9 and 10 for testing.
        let rows = [
            ("0", "0", Some(1.0)),
            ("0", "1", Some(2.0)),
            ("0", "2", Some(7.0)),
            ("0", "3", Some(8.0)),
            ("0", "4", Some(9.0)),
            ("1", "5", Some(3.0)),
            ("1", "6", Some(4.0)),
            ("1", "7", Some(10.0)),
            ("2", "8", Some(5.0)),
            ("2", "9", Some(6.0)),
        ];
        let data = dataset(&rows);
        let split = data.split(SplitRule::Temporal { validation_share: 0.2, test_share: 0.2 }).unwrap();
        let train: Vec<_> = (0..split.users()).map(|user| split.train(user)).collect();
        assert_eq!(train, [[0, 1], [5, 6], [8, 9]]);
        let cases = |which| split.cases(which).map(|c| (c.user, c.history, c.target)).collect::<Vec<_>>();
        assert_eq!(cases(Split::Validation), [(0, &[0, 1][..], 2)]);
        assert_eq!(cases(Split::Test), [(0, &[0, 1, 2, 3][..], 4), (1, &[5, 6], 7)]);
        // Nobody's training reaches into the time that is held out.
        let times = data.times.as_ref().unwrap();
        let newest =
            (0..split.users()).map(|user| times[data.sequences.range(user)][split.train(user).len() - 1]);
        assert!(newest.fold(0.0, f64::max) < 7.0);
    }

    /// Who first appears after a cut has no history, and so no case there.
    #[test]
    fn newcomers_have_no_case() {
        let rows = [
            ("0", "a", 1.0),
            ("0", "b", 2.0),
            ("0", "c", 5.0),
            ("0", "d", 6.0),
            ("1", "a", 5.0),
            ("1", "b", 6.0),
        ];
        let data = dataset(&rows.map(|(user, item, time)| (user, item, Some(time))));
        let split = data.split(SplitRule::Temporal { validation_share: 0.34, test_share: 0.34 }).unwrap();
        assert_eq!(split.train(1), [] as [u32; 0]);
        assert_eq!(split.case(1, Split::Validation), None);
        assert_eq!(split.case(1, Split::Test).map(|case| case.history.len()), Some(1));
    }

    #[test]
    fn what_cannot_be_split_is_named() {
        let temporal = SplitRule::Temporal { validation_share: 0.1, test_share: 0.1 };
        let untimed = dataset(&[("0", "a", None), ("0", "b", None), ("0", "c", None), ("0", "d", None)]);
        let said = |data: &Dataset, rule| data.split(rule).unwrap_err().to_string();
        assert!(said(&untimed, temporal).contains("data set d: a temporal split needs timestamps"));
        assert!(untimed.split(SplitRule::LeaveOneOut).is_ok());
        let single = dataset(&[("0", "a", Some(1.0)), ("1", "b", Some(2.0)), ("2", "a", Some(3.0))]);
        for rule in [SplitRule::LeaveOneOut, temporal] {
            assert!(said(&single, rule).contains("data set d: no user has two training interactions"));
        }
        let pair = dataset(&[("0", "a", Some(1.0)), ("0", "b", Some(1.0))]);
        assert!(said(&pair, SplitRule::LeaveOneOut).contains("data set d: no user has a validation target"));
        assert!(said(&pair, temporal).contains("no user has a validation target"));
    }
}
