//! What a stage learnt on one model, put onto another of the same origin.

use super::checkpoint::{Tensors, decoded, parameters};
use crate::model::parameters::{MapByName, map_by_name};
use crate::tensor::{Backend, Tensor, floats};
use burn::module::{Module, Param};

/// `module` with the way from `before` to `after` added to each of its parameters, as in task arithmetic (Ilharco et
/// al., ICLR 2023). The three have the same shapes; what is the same in `before` and `after` stays.
pub(super) fn moved<M: Module<Backend>>(module: M, before: &M, after: &M) -> M {
    map_by_name(module, &mut Move { before: parameters(before), after: parameters(after) })
}

struct Move {
    before: Tensors,
    after: Tensors,
}

impl MapByName for Move {
    fn map<const D: usize>(&mut self, path: &[String], param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = path.join(".");
        let ((_, before), (_, after)) = (&self.before[&name], &self.after[&name]);
        if before == after {
            return param;
        }
        let way = decoded(before).iter().zip(decoded(after)).map(|(b, a)| a - b).collect();
        let (id, tensor, mapper) = param.consume();
        let learns = tensor.is_require_grad();
        let way = floats(way, tensor.dims(), &tensor.device());
        Param::from_mapped_value(id, (tensor.detach() + way).detach().set_require_grad(learns), mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::model::chord::Chord;
    use crate::tensor::Device;

    #[test]
    fn a_way_starts_where_the_module_is() {
        let device = Device::autodiff(Device::Flex(Default::default()));
        let drawn = |seed: u64| {
            let sets = ["model.dim=8".to_owned(), "model.blocks=1".to_owned(), format!("train.seed={seed}")];
            Chord::new(&config::load(None, &sets).unwrap(), 5, &device).backbone
        };
        let [one, other, third] = [drawn(1), drawn(2), drawn(3)];
        assert_eq!(parameters(&moved(one.clone(), &third, &third)), parameters(&one));
        let arrived = parameters(&moved(one.clone(), &one, &other));
        for (name, (shape, bytes)) in parameters(&other) {
            assert_eq!(arrived[&name].0, shape);
            for (a, b) in decoded(&arrived[&name].1).into_iter().zip(decoded(&bytes)) {
                assert!((a - b).abs() < 1e-6, "{name}: {a} {b}");
            }
        }
    }
}
