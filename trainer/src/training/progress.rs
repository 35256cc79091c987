//! Progress bars on a terminal; elsewhere the log's plain lines are all there is.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::LazyLock;

static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// A bar over `length` of `unit`s, of which `done` are, with their speed, the time left and a message. Hidden unless
/// stderr is a terminal.
pub fn bar(name: &str, length: u64, done: u64, unit: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template =
        format!("{{prefix:>9}} {{bar:32}} {{pos}}/{{len}} {unit}  {{per_sec}}  left {{eta}}  {{msg}}");
    let style = ProgressStyle::with_template(&template).expect("the template is valid");
    let bar = BARS.add(ProgressBar::new(length).with_style(style).with_prefix(name.to_owned()));
    bar.set_position(done);
    // Steps of an earlier process say nothing about the speed of this one.
    bar.reset_eta();
    bar
}

/// Standard error for log lines: bars step aside while one is written.
#[derive(Clone, Copy, Debug)]
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        BARS.suspend(|| std::io::stderr().write(line))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
