//! MovieLens 100K through the real code: fetched, verified, cached, read, split.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use chord_trainer::data::ml100k::{self, Origin, Sources};
use chord_trainer::data::{HeldOut, Split, Stats};

/// A port of this machine at which nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Sources that fail at once, without leaving this machine.
fn nowhere() -> Sources {
    Sources { archive: format!("http://127.0.0.1:{}/", closed_port()), package: "no requirement".to_owned() }
}

/// Answers one request with `body`.
fn serve_once(body: Vec<u8>) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/ml-100k.zip", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        let length = body.len();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n").unwrap();
        stream.write_all(&body).unwrap();
    });
    (url, server)
}

/// GroupLens' archive as it would hold these canonical files: titles in ISO 8859-1 between bars.
fn grouplens_archive(interactions: &str, titles: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("ml-100k/u.data", options).unwrap();
    archive.write_all(interactions.as_bytes()).unwrap();
    archive.start_file("ml-100k/u.item", options).unwrap();
    for line in titles.lines() {
        let line = format!("{}|01-Jan-1995||http://example.org|0|1\n", line.replacen('\t', "|", 1));
        let bytes: Vec<u8> = line.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        archive.write_all(&bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn files_in(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn movielens_100k() {
    let cache = tempfile::tempdir().unwrap();
    let first = ml100k::fetch(cache.path()).unwrap();
    assert_ne!(first.origin, Origin::Cache);

    let cached = ml100k::fetch_from(cache.path(), &nowhere()).unwrap();
    assert_eq!(cached.origin, Origin::Cache, "a verified cache needs no source");

    let dataset = ml100k::load(cache.path()).unwrap();
    let stats = Stats::of(&dataset);
    print!("{stats}");
    assert_eq!((stats.users, stats.items, stats.interactions), (943, 1682, 100_000));
    assert_eq!((100.0 * stats.tied_share).round(), 76.0);
    assert_eq!((stats.min_length, stats.max_length), (20, 737));
    assert_eq!((stats.top_item.name.as_str(), stats.top_item.interactions), ("Star Wars (1977)", 583));
    assert_eq!(dataset.item_row("1"), Some(0));
    assert_eq!(dataset.item_name(0), "Toy Story (1995)");
    assert_eq!(dataset.item_name(266), "unknown");
    assert_eq!(dataset.item_name(1411), "Land Before Time III: The Time of the Great Giving (1995) (V)");
    let split = HeldOut::new(&dataset.sequences);
    for which in [Split::Validation, Split::Test] {
        assert_eq!(split.cases(which).count(), 943);
    }

    // The same data out of an archive as GroupLens packs it.
    let (interactions, titles) =
        (fs::read_to_string(&first.interactions).unwrap(), fs::read_to_string(&first.titles).unwrap());
    let (archive, server) = serve_once(grouplens_archive(&interactions, &titles));
    let other = tempfile::tempdir().unwrap();
    let fetched = ml100k::fetch_from(other.path(), &Sources { archive, ..nowhere() }).unwrap();
    server.join().unwrap();
    assert_eq!(fetched.origin, Origin::GroupLens);
    assert_eq!(ml100k::load(other.path()).unwrap(), dataset);

    // A cache with one digit changed: detected, and with no source within reach reported with both hashes.
    let corrupted = interactions.replacen("881250949", "881250948", 1);
    fs::write(&fetched.interactions, &corrupted).unwrap();
    let message = ml100k::fetch_from(other.path(), &nowhere()).unwrap_err().to_string();
    println!("{message}");
    assert_eq!(message.lines().count(), 4, "cache, GroupLens, RecBole: {message}");
    assert!(message.contains(ml100k::SHA256) && message.matches("SHA-256 is").count() == 1, "{message}");

    // An archive with other data falls through to the package; nothing of it reaches the cache.
    let (archive, server) = serve_once(grouplens_archive(&corrupted, &titles));
    let third = tempfile::tempdir().unwrap();
    let message = ml100k::fetch_from(third.path(), &Sources { archive: archive.clone(), ..nowhere() });
    server.join().unwrap();
    assert!(message.unwrap_err().to_string().contains("SHA-256 is"));
    assert_eq!(files_in(&third.path().join("ml-100k")), 0);

    // Sources within reach mend it.
    let (archive, server) = serve_once(grouplens_archive(&interactions, &titles));
    let mended = ml100k::fetch_from(other.path(), &Sources { archive, ..nowhere() }).unwrap();
    server.join().unwrap();
    assert_eq!(mended.origin, Origin::GroupLens);
    assert_eq!(fs::read_to_string(&mended.interactions).unwrap(), interactions);
    assert_eq!(files_in(&other.path().join("ml-100k")), 2);

    // Titles cut short are noticed as well.
    fs::write(&mended.titles, &titles[..titles.len() / 2]).unwrap();
    let message = ml100k::fetch_from(other.path(), &nowhere()).unwrap_err().to_string();
    assert!(message.contains("not one line for each of 1682 items"), "{message}");
}
