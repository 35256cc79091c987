//! Item rows for devices whose bundle has no item table (docs/format.md).

use super::bundle::codes;
use super::{FrozenError, FrozenModel, FrozenNetwork};
use chord_plan::bundle::{ModelId, Section};
use chord_plan::rows;

impl FrozenModel {
    /// The same model without its item table.
    pub fn without_items(mut self) -> Self {
        self.item_weights.clear();
        self.item_ranges.clear();
        match &mut self.network {
            FrozenNetwork::SasRec(network) => network.shape.items = 0,
            FrozenNetwork::Caser(network) => network.shape.items = 0,
        }
        self
    }

    /// A message with the rows of `items`, in their order, for devices that run `model`: the bundle of this model, or the
    /// one [without items](Self::without_items).
    ///
    /// # Errors
    /// If a row's weight is not finite.
    ///
    /// # Panics
    /// If an item is not one of this model's.
    pub fn item_rows(&self, model: ModelId, items: &[u32]) -> Result<Vec<u8>, FrozenError> {
        let dim = self.manifest().dim();
        let row = |&item: &u32| &self.item_weights[item as usize * dim..][..dim];
        let weights: Vec<f32> = items.iter().flat_map(row).copied().collect();
        let ranges: Vec<f32> = items.iter().map(|&item| self.item_ranges[item as usize]).collect();
        let codes = codes(Section::ItemCodes, &weights, &ranges)?;
        let mut bytes = vec![0; rows::longest(items.len(), dim)];
        let length = rows::encode(model, dim as u16, &codes, &ranges, &mut bytes)
            .expect("dim codes to each range, in a buffer for the longest message");
        bytes.truncate(length);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use crate::frozen::examples::{small, small_caser};
    use chord_plan::{Bundle, ItemRows};

    #[test]
    fn rows_are_those_of_the_table_and_the_rest_is_the_same() {
        for model in [small(), small_caser()] {
            let [with, without] =
                [model.clone(), model.clone().without_items()].map(|m| m.to_bundle().unwrap());
            let [with, without] = [&with, &without].map(|bytes| Bundle::parse(bytes).unwrap());
            assert_eq!(*without.manifest(), with.manifest().without_items());
            for index in 0..with.manifest().layer_count() {
                assert_eq!(with.layer(index).all_codes(), without.layer(index).all_codes());
            }
            let message = model.item_rows(without.model(), &[2, 0]).unwrap();
            let rows = ItemRows::parse(&message).unwrap();
            rows.check_against(&without).unwrap();
            assert_eq!(rows.codes(), [with.item_codes(2), with.item_codes(0)].concat());
            assert!(rows.ranges().iter().eq([2, 0].map(|item| with.item_range(item))));
        }
    }
}
