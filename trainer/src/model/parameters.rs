//! A module's parameters by their dotted names, as `backbone.blocks.0.query.weight`.

use crate::tensor::{Backend, Tensor};
use burn::module::{Module, ModuleMapper, Param};

/// What becomes of parameters.
pub(crate) trait MapByName {
    /// The parameter in place of `param`, whose name has these parts.
    fn map<const D: usize>(&mut self, path: &[String], param: Param<Tensor<D>>) -> Param<Tensor<D>>;
}

/// `module` with every parameter as `mapper` makes it.
pub(crate) fn map_by_name<M: Module<Backend>>(module: M, mapper: &mut impl MapByName) -> M {
    module.map(&mut Walk { path: Vec::new(), mapper })
}

/// Where in the module the walk is.
struct Walk<'a, T> {
    path: Vec<String>,
    mapper: &'a mut T,
}

impl<T: MapByName> ModuleMapper<Backend> for Walk<'_, T> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.mapper.map(&self.path, param)
    }
}
