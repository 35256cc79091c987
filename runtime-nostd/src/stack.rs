//! How much stack the engine takes.

/// Cores on which the stack was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Core {
    /// Cortex-M4F.
    CortexM4,
    /// Cortex-M7.
    CortexM7,
    /// Cortex-M33.
    CortexM33,
    /// Cortex-M55.
    CortexM55,
    /// Cortex-M0+, without an FPU.
    CortexM0Plus,
    /// RV32IMAC, without an FPU.
    Riscv32,
    /// AArch64.
    Aarch64,
}

impl Core {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::CortexM4,
        Self::CortexM7,
        Self::CortexM33,
        Self::CortexM55,
        Self::CortexM0Plus,
        Self::Riscv32,
        Self::Aarch64,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CortexM4 => "cortex-m4",
            Self::CortexM7 => "cortex-m7",
            Self::CortexM33 => "cortex-m33",
            Self::CortexM55 => "cortex-m55",
            Self::CortexM0Plus => "cortex-m0plus",
            Self::Riscv32 => "riscv32imac",
            Self::Aarch64 => "cortex-a53",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|core| core.name() == name)
    }

    /// Whether it has instructions for floating point. Without, [`Arithmetic::Fixed`](crate::Arithmetic) is the faster one.
    pub const fn has_fpu(self) -> bool {
        !matches!(self, Self::CortexM0Plus | Self::Riscv32)
    }

    /// Bytes of stack for parsing a bundle, making an engine and ranking, worst case, in either arithmetic, interrupts not
    /// counted.
    ///
    /// Nothing recurses and no array is as long as the model says, so this is the same for every model. Measured in
    /// QEMU on painted stacks, with a twentieth added: the same source built in another folder differs by some words. A
    /// test of the project compares. Compilers other than Rust 1.95 and other profiles than the example firmware's may
    /// differ by more.
    pub const fn stack_bytes(self) -> usize {
        match self {
            Self::CortexM4 | Self::CortexM7 | Self::CortexM33 => 2880,
            Self::CortexM55 => 2600,
            Self::CortexM0Plus => 2968,
            Self::Riscv32 => 2584,
            Self::Aarch64 => 4432,
        }
    }
}
