//! Training curves from the metrics of a run.

use super::chart::{self, Line, PlotError};
use serde::Deserialize;

/// The part of a line of `metrics.jsonl` that is drawn.
#[derive(Deserialize)]
pub(super) struct Epoch {
    stage: String,
    epoch: u32,
    loss: f64,
    validation: Option<Validation>,
}

#[derive(Deserialize)]
struct Validation {
    cross_entropy: f64,
}

/// The lines of `metrics.jsonl`.
pub(super) fn parse(text: &str) -> Result<Vec<Epoch>, serde_json::Error> {
    text.lines().map(serde_json::from_str).collect()
}

/// Training loss, and cross-entropy on validation, by epoch of each stage, as SVG.
pub(super) fn plot(epochs: &[Epoch]) -> Result<String, PlotError> {
    let training = lines(epochs, |epoch| Some(epoch.loss));
    let validation = lines(epochs, |epoch| Some(epoch.validation.as_ref()?.cross_entropy));
    chart::svg((1000, 400), |area| {
        let (left, right) = area.split_horizontally(500);
        chart::lines(&left, "training loss", ("epoch of the stage", "nats"), &training)?;
        chart::lines(&right, "cross-entropy on validation", ("epoch of the stage", "nats"), &validation)
    })
}

fn lines(epochs: &[Epoch], figure: impl Fn(&Epoch) -> Option<f64>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for epoch in epochs {
        if lines.iter().all(|l| l.name != epoch.stage) {
            lines.push(Line { name: epoch.stage.clone(), points: Vec::new(), intervals: Vec::new() });
        }
        let line = lines.iter_mut().find(|l| l.name == epoch.stage).expect("it was added");
        line.points.extend(figure(epoch).map(|y| (f64::from(epoch.epoch), y)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_become_lines() {
        let text = r#"{"stage":"fp32","epoch":1,"loss":3.5,"seconds":1.0,"validation":null}
{"stage":"fp32","epoch":2,"loss":3.0,"seconds":1.0,"validation":{"cross_entropy":4.0}}
{"stage":"static","epoch":1,"loss":2.5,"seconds":1.0,"validation":null}"#;
        let epochs = parse(text).unwrap();
        let training = lines(&epochs, |e| Some(e.loss));
        assert_eq!(training[0].points, [(1.0, 3.5), (2.0, 3.0)]);
        assert_eq!(training[1].points, [(1.0, 2.5)]);
        assert!(plot(&epochs).unwrap().contains("static"));
        assert!(parse("{\"stage\":").is_err());
    }
}
