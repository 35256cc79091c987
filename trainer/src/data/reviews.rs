//! Reviews as JSON objects, one a line.

use std::borrow::Cow;

use chrono::NaiveDateTime;
use serde::Deserialize;

use super::columns::id;
use super::interactions::{Fault, Interaction};

/// A review in the files of 2014 and 2018 of Amazon (Ni et al., 2019).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Amazon<'a> {
    #[serde(borrow, rename = "reviewerID")]
    reviewer: Cow<'a, str>,
    #[serde(borrow)]
    asin: Cow<'a, str>,
    overall: f64,
    unix_review_time: f64,
}

/// A review in the files of 2023 of Amazon (Hou et al., 2024).
#[derive(Deserialize)]
struct Amazon2023<'a> {
    #[serde(borrow)]
    user_id: Cow<'a, str>,
    #[serde(borrow)]
    parent_asin: Cow<'a, str>,
    rating: f64,
    timestamp: f64,
}

/// A review of the Yelp Open Dataset.
#[derive(Deserialize)]
struct Yelp<'a> {
    #[serde(borrow)]
    user_id: Cow<'a, str>,
    #[serde(borrow)]
    business_id: Cow<'a, str>,
    stars: f64,
    #[serde(borrow)]
    date: Cow<'a, str>,
}

/// Whether the line is an object with this key. In a longer text the quotes would be escaped.
pub(super) fn has_key(line: &str, key: &str) -> bool {
    line.contains(&format!("\"{key}\""))
}

pub(super) fn amazon(line: &str, visit: impl FnOnce(Interaction<'_>)) -> Result<(), Fault> {
    let review: Amazon<'_> = object(line)?;
    visit(Interaction {
        user: id("reviewerID", &review.reviewer)?,
        item: id("asin", &review.asin)?,
        rating: Some(review.overall),
        timestamp: Some(review.unix_review_time),
    });
    Ok(())
}

pub(super) fn amazon_2023(line: &str, visit: impl FnOnce(Interaction<'_>)) -> Result<(), Fault> {
    let review: Amazon2023<'_> = object(line)?;
    visit(Interaction {
        user: id("user_id", &review.user_id)?,
        item: id("parent_asin", &review.parent_asin)?,
        rating: Some(review.rating),
        timestamp: Some(review.timestamp),
    });
    Ok(())
}

pub(super) fn yelp(line: &str, visit: impl FnOnce(Interaction<'_>)) -> Result<(), Fault> {
    let review: Yelp<'_> = object(line)?;
    visit(Interaction {
        user: id("user_id", &review.user_id)?,
        item: id("business_id", &review.business_id)?,
        rating: Some(review.stars),
        timestamp: Some(seconds("date", &review.date)?),
    });
    Ok(())
}

fn object<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, Fault> {
    serde_json::from_str(line).map_err(|error| {
        let column = error.column();
        let problem = error.to_string();
        // The line that serde_json counts is always the first.
        let problem = problem.split(" at line 1 ").next().unwrap_or(&problem);
        if let Some(field) = problem.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            return Fault::new(field, "missing");
        }
        // Only a bad line pays for the name of its field; broken syntax is not of one field.
        let named =
            || serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(line));
        let field = error.is_data().then(|| named().err().map(|error| error.path().to_string())).flatten();
        Fault::new(field.as_deref().unwrap_or("line"), format!("{problem}, at byte {column}"))
    })
}

/// Unix seconds of `YYYY-MM-DD hh:mm:ss`, in whichever time zone: only the order counts.
#[expect(clippy::cast_precision_loss, reason = "exact for all years of this calendar with four digits")]
fn seconds(name: &str, text: &str) -> Result<f64, Fault> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S")
        .map(|time| time.and_utc().timestamp() as f64)
        .map_err(|_| Fault::new(name, format!("{text:?} is not a time as 2017-01-31 23:59:59")))
}
