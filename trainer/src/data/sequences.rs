/// The item rows of every user, oldest first, in one block of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequences {
    items: Vec<u32>,
    /// User `u` has `items[offsets[u]..offsets[u + 1]]`.
    offsets: Vec<usize>,
}

impl Sequences {
    /// Number of users.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no user.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item rows of user row `user`, oldest first.
    ///
    /// # Panics
    /// If `user` is not below [`Sequences::len`].
    #[must_use]
    pub fn user(&self, user: usize) -> &[u32] {
        &self.items[self.offsets[user]..self.offsets[user + 1]]
    }

    /// The sequences of all users, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.offsets.windows(2).map(|bounds| &self.items[bounds[0]..bounds[1]])
    }

    /// Item rows of all users, one after the other.
    #[must_use]
    pub fn interactions(&self) -> &[u32] {
        &self.items
    }
}

impl<S: AsRef<[u32]>> FromIterator<S> for Sequences {
    fn from_iter<I: IntoIterator<Item = S>>(users: I) -> Self {
        let mut sequences = Self { items: Vec::new(), offsets: vec![0] };
        for user in users {
            sequences.items.extend_from_slice(user.as_ref());
            sequences.offsets.push(sequences.items.len());
        }
        sequences
    }
}
