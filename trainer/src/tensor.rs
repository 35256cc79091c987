//! The tensor types of the whole trainer: one backend type, its device chosen at run time.
//!
//! burn's dispatch backend keeps the backend out of every signature. A tensor made on an *autodiff* device is
//! tracked; one made on the plain device is not, and the two never meet in one operation: constants are made on the
//! device of the tensor they meet.

use burn::prelude::Int;
use burn::tensor::TensorData;

/// The backend of every tensor: dispatches to the CPU or a GPU by the tensor's device.
pub type Backend = burn::Dispatch;
/// Where a tensor lives, and whether operations on it are recorded for backpropagation.
pub type Device = burn::DispatchDevice;
/// A tensor of f32.
pub type Tensor<const D: usize> = burn::Tensor<Backend, D>;
/// A tensor of integers.
pub type IntTensor<const D: usize> = burn::Tensor<Backend, D, Int>;

/// A float tensor from host data in row-major order.
///
/// # Panics
/// If `data` does not fill `shape`.
pub fn floats<const D: usize>(data: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(data, shape), device)
}

/// An integer tensor from host data in row-major order.
///
/// # Panics
/// If `data` does not fill `shape`.
pub fn integers<const D: usize>(data: Vec<i32>, shape: [usize; D], device: &Device) -> IntTensor<D> {
    IntTensor::from_data(TensorData::new(data, shape), device)
}

/// The values of float data that has left its tensor, to be changed in place.
///
/// # Panics
/// If the data is not f32.
pub fn values(data: &mut TensorData) -> &mut [f32] {
    data.as_mut_slice().expect("float tensors hold f32")
}

/// The values of a tensor in row-major order, on the host.
///
/// # Panics
/// If the device is lost.
pub fn to_host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().into_vec().expect("float tensors hold f32")
}
