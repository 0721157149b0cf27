//! Every seed of every target as an ordinary test, and every seed with a few bytes changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use sentinel_fuzz::TARGETS;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let files = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut seeds: Vec<PathBuf> = files.map(|file| file.expect("entry").path()).collect();
    seeds.sort();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).expect("a seed");
        (path, bytes)
    };
    seeds.into_iter().map(read).collect()
}

/// Tries an input, and names it if a property does not hold.
fn attempt(name: &str, check: fn(&[u8]), input: &[u8], from: &str) {
    let outcome = std::panic::catch_unwind(|| check(input));
    assert!(
        outcome.is_ok(),
        "{name}: {from}: a property does not hold for {:?}",
        input.escape_ascii().to_string()
    );
}

#[test]
fn there_is_a_corpus_for_each_target_and_a_target_for_each_corpus() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let found: BTreeSet<String> = fs::read_dir(dir)
        .expect("the corpora")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("a name"))
        .collect();
    let expected: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, expected);
    for (name, _) in TARGETS {
        assert!(corpus(name).len() >= 5, "`{name}` has hardly a seed");
    }
}

#[test]
fn every_seed_holds() {
    for (name, check) in TARGETS {
        for (path, seed) in corpus(name) {
            attempt(name, *check, &seed, &path.display().to_string());
        }
    }
}

#[test]
fn every_seed_holds_with_a_few_bytes_changed() {
    // SplitMix64, so that it is the same each time.
    let mut state = 7_u64;
    let mut number = move |bound: usize| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).expect("31 bits") % bound
    };
    let telling = b"/.%;\\,: \t\r\n\0\"'{}[]*&=?#-_+2eEfF5cC0aA\xff\xc2\xad";
    for (name, check) in TARGETS {
        for (path, seed) in corpus(name) {
            for _ in 0..40 {
                let mut input = seed.clone();
                for _ in 0..=number(3) {
                    let at = number(input.len() + 1);
                    let byte = telling[number(telling.len())];
                    match number(3) {
                        0 => input.insert(at, byte),
                        1 if at < input.len() => input[at] = byte,
                        _ if at < input.len() => drop(input.remove(at)),
                        _ => input.push(byte),
                    }
                }
                attempt(name, *check, &input, &path.display().to_string());
            }
        }
    }
}
