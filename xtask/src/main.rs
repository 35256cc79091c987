//! The own commands of this project.
fn main() {}
