//! Integer products for cores that have only a 32-bit multiplication: two tokens share one.
//!
//! A word holds the codes of two tokens, `a_0 + a_1 * 2^16`. Times a code `q` of a weight it adds `a_0 q` to a low half and
//! `a_1 q` to a high half; the sums stay apart as long as the low one keeps within 16 bits. So they are taken out after
//! as many inputs as its width allows, with `|a| <= 127`:
//!
//! | bits | code | a run of inputs | largest low sum |
//! |---|---|--:|--:|
//! | 2 | -2 ..= 1 | 128 | 32512 |
//! | 4 | -8 ..= 7 | 32 | 32512 |
//! | 8 | `16 h + l`, h as of 4 bits, l of 0 ..= 15, each by itself | 16 | 30480 |
//!
//! The high sum of a run is within 32512 too, and the word within 32512 * 65537 < 2^31. A token that is alone takes one
//! multiplication for each input, whatever the width.

use crate::span::span;

/// Tokens in a block.
pub(crate) const ROWS: usize = 4;

/// Words that a block of `rows` tokens of `inputs` codes takes: none for a token that is alone.
pub(crate) const fn words(rows: usize, inputs: usize) -> usize {
    match rows {
        0 | 1 => 0,
        2 => inputs,
        _ => 2 * inputs,
    }
}

/// Inputs that go through a loop together.
const UNROLLED: usize = 8;

/// Up to four tokens, two or more as words, input by input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'w> {
    /// Codes of the first token.
    first: &'w [i8],
    words: &'w [i32],
    rows: usize,
    /// `sum a` of each token.
    sums: [i32; ROWS],
}

impl<'w> Block<'w> {
    /// Lays `rows` tokens of `inputs` codes out in `words`, which is [`words`](self::words) long. The first four count.
    pub(crate) fn lay(codes: &'w [i8], rows: usize, inputs: usize, words: &'w mut [i32]) -> Self {
        let rows = rows.min(ROWS);
        let mut sums = [0; ROWS];
        let tokens = || codes.chunks_exact(inputs.max(1)).take(rows);
        tokens().zip(&mut sums).for_each(|(token, to)| *to = sum(token));
        let laid = tokens().enumerate().take_while(|_| rows > 1);
        for (row, token) in laid {
            let column = words.iter_mut().skip(row / 2).step_by(rows.div_ceil(2).max(1));
            for (word, &a) in column.zip(token) {
                let a = i32::from(a);
                // The first of a pair clears what was there.
                *word = if row % 2 == 0 { a } else { *word + (a << 16) };
            }
        }
        Self { first: span(codes, 0, inputs), words, rows, sums }
    }

    /// `sum a l` of every token with a channel's levels at 2, 4 or 8 bits; 0 at any other width. What a token that is
    /// not there gets means nothing.
    pub(crate) fn products(&self, codes: &[i8], bits: u8) -> [i32; ROWS] {
        let mut products = match self.rows {
            0 | 1 => return [product(self.first, self.sums[0], codes, bits), 0, 0, 0],
            2 => {
                let [a, b] = *products::<1>(self.words.as_chunks().0, codes, bits).as_flattened() else {
                    return [0; ROWS];
                };
                [a, b, 0, 0]
            }
            _ => {
                let [a, b, c, d] = *products::<2>(self.words.as_chunks().0, codes, bits).as_flattened()
                else {
                    return [0; ROWS];
                };
                [a, b, c, d]
            }
        };
        if bits != 0 {
            // l = 2 q + 1.
            products.iter_mut().zip(self.sums).for_each(|(product, sum)| *product = 2 * *product + sum);
        }
        products
    }
}

/// `sum a` of a token.
pub(crate) fn sum(token: &[i8]) -> i32 {
    token.iter().map(|&a| i32::from(a)).sum()
}

/// `sum a l` of a token that is alone, whose [`sum`] is known, with a channel's levels at 2, 4 or 8 bits; 0 at any other
/// width.
pub(crate) fn product(token: &[i8], sum: i32, codes: &[i8], bits: u8) -> i32 {
    let dot = match bits {
        2 => dot(token, codes, |code| code >> 6),
        4 => dot(token, codes, |code| code >> 4),
        8 => dot(token, codes, |code| code),
        _ => return 0,
    };
    2 * dot + sum
}

/// `sum a q` of a token.
#[inline(always)]
fn dot(token: &[i8], codes: &[i8], part: impl Fn(i32) -> i32) -> i32 {
    let product = |(&a, &code): (&i8, &i8)| i32::from(a) * part(code.into());
    let ((token, token_rest), (codes, codes_rest)) =
        (token.as_chunks::<UNROLLED>(), codes.as_chunks::<UNROLLED>());
    let mut sum = 0;
    for (token, codes) in token.iter().zip(codes) {
        sum += token.iter().zip(codes).map(product).sum::<i32>();
    }
    sum + token_rest.iter().zip(codes_rest).map(product).sum::<i32>()
}

/// `sum a q` of the tokens in `PAIRS` words to an input.
fn products<const PAIRS: usize>(words: &[[i32; PAIRS]], codes: &[i8], bits: u8) -> [[i32; 2]; PAIRS] {
    let mut products = [[0; 2]; PAIRS];
    // The block may have room for more inputs.
    let words = span(words, 0, codes.len());
    match bits {
        2 => {
            for (words, codes) in words.chunks(128).zip(codes.chunks(128)) {
                take_out(run(words, codes, |code| code >> 6), 1, &mut products);
            }
        }
        4 => {
            for (words, codes) in words.chunks(32).zip(codes.chunks(32)) {
                take_out(run(words, codes, |code| code >> 4), 1, &mut products);
            }
        }
        8 => {
            for (words, codes) in words.chunks(16).zip(codes.chunks(16)) {
                take_out(run(words, codes, |code| code >> 4), 16, &mut products);
                take_out(run(words, codes, |code| code & 15), 1, &mut products);
            }
        }
        _ => {}
    }
    products
}

/// Sums of both halves over a run of inputs.
#[inline(always)]
fn run<const PAIRS: usize>(words: &[[i32; PAIRS]], codes: &[i8], part: impl Fn(i32) -> i32) -> [i32; PAIRS] {
    let mut sums = [0; PAIRS];
    let mut add = |words: &[i32; PAIRS], code: i8| {
        let q = part(code.into());
        sums.iter_mut().zip(words).for_each(|(sum, word)| *sum += word * q);
    };
    let (words, rest) = words.as_chunks::<UNROLLED>();
    let (codes, codes_rest) = codes.as_chunks::<UNROLLED>();
    for (words, codes) in words.iter().zip(codes) {
        words.iter().zip(codes).for_each(|(words, &code)| add(words, code));
    }
    rest.iter().zip(codes_rest).for_each(|(words, &code)| add(words, code));
    sums
}

/// Adds both halves of the sums to the products.
#[inline(always)]
fn take_out<const PAIRS: usize>(sums: [i32; PAIRS], factor: i32, products: &mut [[i32; 2]; PAIRS]) {
    for (sum, [low_product, high_product]) in sums.into_iter().zip(products) {
        let low = i32::from(sum as i16);
        *low_product += factor * low;
        *high_product += factor * ((sum - low) >> 16);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use chord_plan::numerics::dot_levels;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    /// Codes, all alike at an end of their range or any.
    fn codes(len: usize, ends: [i8; 2]) -> impl Strategy<Value = Vec<i8>> {
        let any = proptest::collection::vec(ends[0]..=ends[1], len);
        let either = proptest::collection::vec(prop_oneof![Just(ends[0]), Just(ends[1])], len);
        prop_oneof![Just(vec![ends[0]; len]), Just(vec![ends[1]; len]), any, either]
    }

    fn layer() -> impl Strategy<Value = (usize, Vec<i8>, Vec<i8>)> {
        (prop_oneof![1usize..40, 120usize..140, Just(1024)], 1usize..=ROWS).prop_flat_map(|(inputs, rows)| {
            (Just(inputs), codes(inputs * rows, [-127, 127]), codes(inputs, [-128, 127]))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        #[cfg_attr(miri, ignore = "takes minutes")]
        fn products_are_the_definition((inputs, tokens, weights) in layer(), more in 0usize..20) {
            let rows = tokens.len() / inputs;
            let mut memory = vec![0x5a5a_5a5a; words(rows, inputs) + more];
            let block = Block::lay(&tokens, rows, inputs, &mut memory);
            for bits in [0, 2, 4, 8] {
                let products = block.products(&weights, bits);
                for (token, product) in tokens.chunks(inputs).zip(products) {
                    prop_assert_eq!(product, dot_levels(token, &weights, bits));
                }
            }
        }
    }
}
