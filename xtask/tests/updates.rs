//! Plans sent to a firmware that ranks meanwhile: good ones are taken, all others refused, no byte is lost.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use chord_plan::bundle::ModelId;
use chord_plan::plan::{self, PlanHeader};
use chord_plan::{Bundle, Plan};
use chord_runtime::{Engine, Options, Ranked, Requirements};
use object::{Object, ObjectSymbol};
use xtask::boards::BOARDS;
use xtask::firmware::{Firmware, folder};
use xtask::test::workspace;

const TIMEOUT: Duration = Duration::from_secs(120);

fn read(name: &str) -> Vec<u8> {
    fs::read(folder().join("request").join(name)).unwrap()
}

fn items(name: &str) -> Vec<u32> {
    String::from_utf8(read(name)).unwrap().lines().map(|line| line.parse().unwrap()).collect()
}

/// The committed plan with other header fields, its codes turned round if `reversed`.
fn plan(change: impl FnOnce(&mut PlanHeader), reversed: bool) -> Vec<u8> {
    let bytes = read("user.plan");
    let old = Plan::parse(&bytes).unwrap();
    let (mut header, mut codes) = (*old.header(), old.codes().collect::<Vec<_>>());
    change(&mut header);
    if reversed {
        codes.reverse();
    }
    codes.resize(header.channels as usize, 0);
    let mut out = vec![0; plan::encoded_len(&header).unwrap()];
    plan::encode(&header, &codes, &mut out).unwrap();
    out
}

fn frame(content: &[u8]) -> Vec<u8> {
    [cobs::encode_vec(content), vec![0]].concat()
}

/// The end of an answer on a ranking, from the engine on this machine.
fn ranking(plan: &[u8]) -> String {
    let (model, plan) = (read("model.chord"), Plan::parse(plan).unwrap());
    let bundle = Bundle::parse(&model).unwrap();
    let mut arena = vec![0; Requirements::of(&bundle, &Options::default()).arena_bytes];
    let mut engine = Engine::new(bundle, &plan, &mut arena, Options::default()).unwrap();
    let candidates = items("candidates.txt");
    let mut ranked = vec![Ranked::default(); candidates.len()];
    let best = engine.rank(&items("history.txt"), &candidates, &mut ranked).unwrap();
    let best = best[..3].iter().map(|best| format!(" {} ({:08x})", best.item, best.logit.to_bits()));
    format!("plan {} ranks{}", plan.header().sequence, best.collect::<String>())
}

/// One exchange: what is sent, piece by piece, and how many answers come.
struct Exchange {
    about: &'static str,
    pieces: Vec<Vec<u8>>,
    answers: usize,
    /// The plan that runs then.
    running: Vec<u8>,
}

fn exchanges() -> Vec<Exchange> {
    let sequence = |sequence| move |header: &mut PlanHeader| header.sequence = sequence;
    let [first, second, third] =
        [(999, false), (1000, true), (1001, false)].map(|(n, turn)| plan(sequence(n), turn));
    let fourth = plan(sequence(1002), true);
    let mut damaged = frame(&third);
    damaged[40] ^= 2;
    let whole = frame(&third);
    let (head, tail) = whole.split_at(50);
    let exchange = |about, pieces: &[&[u8]], answers, running: &[u8]| Exchange {
        about,
        pieces: pieces.iter().map(|piece| piece.to_vec()).collect(),
        answers,
        running: running.to_vec(),
    };
    vec![
        exchange("a new plan", &[&frame(&second)], 1, &second),
        exchange("the same again", &[&frame(&second)], 1, &second),
        exchange("an older plan", &[&frame(&first)], 1, &second),
        exchange("a flipped bit", &[&damaged], 1, &second),
        exchange("empty frames, then a plan in two halves", &[&[0, 0, 0], head, tail], 1, &third),
        exchange("a frame cut short", &[&[head, &[0]].concat()], 1, &third),
        exchange(
            "a plan for another model",
            &[&frame(&plan(|header| header.model = ModelId([7; 8]), false))],
            1,
            &third,
        ),
        exchange(
            "a plan of too few channels",
            &[&frame(&plan(|header| header.channels = 8, false))],
            1,
            &third,
        ),
        exchange("no plan", &[&frame(b"hello")], 1, &third),
        exchange("a frame without end", &[&[7; 200], &[0]], 1, &third),
        exchange("byte by byte", &frame(&fourth).chunks(1).collect::<Vec<_>>(), 1, &fourth),
        exchange("two frames at once", &[&[frame(&third), frame(&fourth)].concat()], 2, &fourth),
    ]
}

/// Goes through the exchanges; returns what was said. `link` is the device's UART.
fn converse(link: UnixStream) -> String {
    link.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut answers = BufReader::new(link.try_clone().unwrap());
    let mut link = link;
    let mut transcript = String::new();
    let mut answer = |transcript: &mut String| {
        let start = transcript.len();
        answers.read_line(transcript).unwrap();
        transcript[start..].to_owned()
    };
    assert!(answer(&mut transcript).contains(&ranking(&read("user.plan"))), "{transcript}");
    let mut sent = 0;
    for Exchange { about, pieces, answers, running } in exchanges() {
        transcript += &format!("> {about}\n");
        let alone = pieces.len() == 1;
        for piece in pieces {
            link.write_all(&piece).unwrap();
            sent += piece.len();
            // Time for rankings between the pieces.
            sleep(Duration::from_millis(if alone { 0 } else { 3 }));
        }
        for _ in 1..answers {
            // How much of the next frame has come by then is chance.
            let mut first = String::new();
            answer(&mut first);
            transcript += &format!("{}; ...\n", first.rsplit_once("; ").unwrap().0);
        }
        let last = answer(&mut transcript);
        assert!(last.contains(&ranking(&running)), "{transcript}");
        assert!(last.ends_with(&format!("; {sent} bytes came, 0 were lost\n")), "{transcript}");
    }
    transcript
}

/// `CHORD_BLESS=1` writes the snapshot anew.
#[test]
fn plans_come_while_it_ranks() {
    let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("firmware");
    let firmware = Firmware {
        board: &BOARDS[0],
        bin: "updates",
        request: None,
        packed: false,
        target_dir: Some(&target_dir),
    };
    let elf = firmware.build().unwrap_or_else(|output| panic!("{output}"));
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("uart");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut log = Vec::new();
    let transcript = xtask::qemu::run_attended(
        &elf,
        TIMEOUT,
        &format!("unix:{}", socket.display()),
        |line| log.push(line.to_owned()),
        || converse(listener.accept().unwrap().0),
    );
    let mut output = transcript.unwrap() + "\nlog:\n";
    let mut meanwhile = 0;
    for line in log {
        match line.split_once(" rankings, ") {
            // As many as there was time for.
            Some((_, bytes)) => meanwhile = bytes.split(' ').next().unwrap().parse().unwrap(),
            None => output += &format!("{line}\n"),
        }
    }
    assert!(meanwhile > 700, "{meanwhile} bytes came while it ranked");
    let snapshot = workspace().join("tests/snapshots/firmware_updates.txt");
    if std::env::var_os("CHORD_BLESS").is_some() {
        fs::write(&snapshot, &output).unwrap();
    }
    assert_eq!(output, fs::read_to_string(&snapshot).unwrap());

    // Formatting floats would take more flash than the engine.
    let image = fs::read(&elf).unwrap();
    let file = object::File::parse(&*image).unwrap();
    let names: Vec<&str> = file.symbols().filter_map(|symbol| symbol.name().ok()).collect();
    assert!(names.iter().any(|name| name.contains("core3fmt")), "the names of functions have another form");
    let float = names.iter().find(|name| name.contains("flt2dec") || name.contains("float_to_"));
    assert_eq!(float, None);
}
