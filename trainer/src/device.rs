//! Choosing a device at run time.

use crate::tensor::{Device, Tensor, to_host};
use burn::tensor::backend::DeviceOps;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;

/// What a user may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DeviceName {
    /// The best device that is compiled in and present: CUDA, then wgpu, then the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU (cargo feature `cuda`).
    Cuda,
    /// A GPU through WebGPU (cargo feature `wgpu`).
    Wgpu,
}

impl std::fmt::Display for DeviceName {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Wgpu => "wgpu",
        })
    }
}

/// Why a device cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DeviceError {
    /// Not in this build.
    #[error("--device {0}: this build has no {0} backend; build with `--features {0}`")]
    NotCompiled(DeviceName),
    /// Not on this machine.
    #[error("--device {name}: no such device on this machine ({reason})")]
    Absent {
        /// Asked for.
        name: DeviceName,
        /// What the driver said.
        reason: String,
    },
}

/// What a device is called in messages.
pub fn describe(device: &Device) -> String {
    match DeviceOps::inner(device) {
        Device::Flex(_) => "the CPU".to_owned(),
        #[allow(unreachable_patterns, reason = "the CPU is the only device of a build without GPU features")]
        other => format!("{other:?}"),
    }
}

/// An autodiff device.
///
/// # Errors
/// If the device is not compiled in, or a first small computation on it fails.
pub fn open(name: DeviceName) -> Result<Device, DeviceError> {
    let device = match name {
        DeviceName::Cpu => Device::Flex(Default::default()),
        DeviceName::Cuda => cuda()?,
        DeviceName::Wgpu => wgpu()?,
        DeviceName::Auto => cuda().or_else(|_| wgpu()).unwrap_or(Device::Flex(Default::default())),
    };
    Ok(Device::autodiff(device))
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Device, DeviceError> {
    probe(DeviceName::Cuda, || Device::Cuda(Default::default()))
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Device, DeviceError> {
    Err(DeviceError::NotCompiled(DeviceName::Cuda))
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Result<Device, DeviceError> {
    probe(DeviceName::Wgpu, || Device::Wgpu(Default::default()))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Result<Device, DeviceError> {
    Err(DeviceError::NotCompiled(DeviceName::Wgpu))
}

/// Makes a device and computes `1 + 1` on it. The backends panic where a driver or adapter is missing, some on a thread
/// of their own; the first panic tells the reason.
#[cfg_attr(not(any(feature = "cuda", feature = "wgpu")), allow(dead_code))]
fn probe(name: DeviceName, make: impl FnOnce() -> Device) -> Result<Device, DeviceError> {
    let first = Arc::new(Mutex::new(None));
    let hook = std::panic::take_hook();
    let told = Arc::clone(&first);
    std::panic::set_hook(Box::new(move |panic| {
        let reason = panic.payload_as_str().unwrap_or("the driver panicked");
        // Drivers tell all they tried: the start will do.
        let reason = reason.lines().next().unwrap_or_default().chars().take(120).collect::<String>();
        told.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }));
    let result = catch_unwind(AssertUnwindSafe(|| {
        let device = make();
        let one = Tensor::<1>::ones([1], &device);
        assert_eq!(to_host(one.clone() + one), [2.0], "1 + 1 is wrong on this device");
        device
    }));
    std::panic::set_hook(hook);
    result.map_err(|_| {
        let reason = first.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        DeviceError::Absent { name, reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there() {
        assert!(open(DeviceName::Cpu).is_ok());
        assert!(open(DeviceName::Auto).is_ok());
    }

    #[test]
    fn a_driver_that_panics_is_an_error() {
        let found = probe(DeviceName::Cuda, || panic!("no libcuda"));
        assert_eq!(
            found.unwrap_err(),
            DeviceError::Absent { name: DeviceName::Cuda, reason: "no libcuda".to_owned() }
        );
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_backend_left_out_is_named() {
        let message = open(DeviceName::Cuda).unwrap_err().to_string();
        assert_eq!(message, "--device cuda: this build has no cuda backend; build with `--features cuda`");
    }
}
