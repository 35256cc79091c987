use super::Sequences;

/// The shortest sequence that leave-one-out can train, validate and test on.
pub const MIN_EVALUATED: usize = 3;

/// Which held-out interaction is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The last but one.
    Validation,
    /// The last.
    Test,
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

/// Leave-one-out over time, as in SASRec (Kang and McAuley, 2018): of `n >= 3` interactions the last is the test
/// target, the last but one the validation target, the rest is for training. Shorter users are for training only.
#[derive(Debug, Clone, Copy)]
pub struct LeaveOneOut<'a> {
    sequences: &'a Sequences,
}

impl<'a> LeaveOneOut<'a> {
    /// The split of these sequences.
    #[must_use]
    pub fn new(sequences: &'a Sequences) -> Self {
        Self { sequences }
    }

    /// Number of users, those without cases included.
    #[must_use]
    pub fn users(&self) -> usize {
        self.sequences.len()
    }

    /// The item rows of user row `user` for training, oldest first.
    ///
    /// # Panics
    /// If `user` is not below [`LeaveOneOut::users`].
    #[must_use]
    pub fn train(&self, user: usize) -> &'a [u32] {
        let items = self.sequences.user(user);
        let held_out = if items.len() < MIN_EVALUATED { 0 } else { 2 };
        &items[..items.len() - held_out]
    }

    /// The case of one user, unless it is too short.
    ///
    /// # Panics
    /// If `user` is not below [`LeaveOneOut::users`].
    #[must_use]
    pub fn case(&self, user: usize, split: Split) -> Option<Case<'a>> {
        let items = self.sequences.user(user);
        let known = items.len().checked_sub(match split {
            Split::Validation => 2,
            Split::Test => 1,
        })?;
        (items.len() >= MIN_EVALUATED).then(|| Case { user, history: &items[..known], target: items[known] })
    }

    /// One case for each user that is long enough, by user row.
    pub fn cases(&self, split: Split) -> impl Iterator<Item = Case<'a>> + use<'a> {
        let this = *self;
        (0..this.users()).filter_map(move |user| this.case(user, split))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_out_the_last_two() {
        let sequences: Sequences = [&[1, 2, 3, 4][..], &[5, 6], &[7, 8, 9], &[]].into_iter().collect();
        let split = LeaveOneOut::new(&sequences);
        let train: Vec<_> = (0..split.users()).map(|user| split.train(user)).collect();
        assert_eq!(train, [&[1, 2][..], &[5, 6], &[7], &[]]);
        let cases = |which| split.cases(which).map(|c| (c.user, c.history, c.target)).collect::<Vec<_>>();
        assert_eq!(cases(Split::Validation), [(0, &[1, 2][..], 3), (2, &[7], 8)]);
        assert_eq!(cases(Split::Test), [(0, &[1, 2, 3][..], 4), (2, &[7, 8], 9)]);
    }
}
