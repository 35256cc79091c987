//! What borrows its bytes, in defmt messages: what it is, not the bytes.

use defmt::{Format, Formatter, write};

use crate::bundle::{Bundle, BundleWriter, Floats, LayerView};
use crate::embedding::UserEmbedding;
use crate::plan::Plan;
use crate::rows::ItemRows;

impl Format for Bundle<'_> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Bundle {{ manifest: {}, model: {} }}", self.manifest(), self.model());
    }
}

impl Format for BundleWriter<'_> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "BundleWriter {{ manifest: {} }}", self.manifest());
    }
}

impl Format for LayerView<'_> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "LayerView {{ layer: {} }}", self.layer());
    }
}

impl Format for Floats<'_> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Floats {{ len: {} }}", self.len());
    }
}

impl Format for Plan<'_> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Plan {{ header: {} }}", self.header());
    }
}

impl Format for UserEmbedding<'_> {
    fn format(&self, f: Formatter<'_>) {
        let (model, interactions, numbers) = (self.model(), self.interactions(), self.numbers().len());
        write!(
            f,
            "UserEmbedding {{ model: {}, interactions: {}, numbers: {} }}",
            model, interactions, numbers
        );
    }
}

impl Format for ItemRows<'_> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "ItemRows {{ model: {}, items: {} }}", self.model(), self.items());
    }
}
