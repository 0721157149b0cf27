//! The official engine, as the program `fga` that reads files with a model, tuples, questions and expected answers, and
//! prints every answer that is another one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::case::{Answer, Case, Question};

/// What the program says of some cases.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Its answers where they are other than expected, by the case's number and the question as it prints it.
    pub(crate) others: HashMap<(u64, String), Answer>,
    /// How many questions it answered as expected, or not.
    pub(crate) asked: usize,
}

/// The program and its arguments, on this machine alone.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(xtask::openfga::program());
    command
        .args(args)
        .stdin(Stdio::null())
        .env_clear()
        .env("HOME", "/nonexistent")
        // It ends soon: to look for what it could free costs more than the memory.
        .env("GOGC", "400");
    command
}

/// Runs a command that ends whatever it thinks of the input.
pub(crate) fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("cannot run `fga`: {error}; `cargo xtask test` installs it"))
}

/// What the program says of a case whose model or tuples it does not take. It does not go on to others then.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) case: u64,
    pub(crate) error: String,
}

/// Asks the official engine about some cases, each with the answers that it should give, in a directory of their own.
pub(crate) fn ask(dir: &Path, cases: &[(&Case, &[Answer])]) -> Result<Verdict, Refused> {
    for (case, expected) in cases {
        // What is JSON is YAML.
        std::fs::write(file(dir, case.number), case.store(expected).to_string()).expect("a file");
    }
    let pattern = dir.join("*.fga.yaml");
    let pattern = pattern.to_str().expect("a path in UTF-8");
    let output = run(&mut command(&["model", "test", "--tests", pattern]));
    let text = [output.stdout, output.stderr].concat();
    let verdict = read(&String::from_utf8_lossy(&text)).map_err(|error| {
        let named = |case: &&(&Case, &[Answer])| error.contains(&*file(dir, case.0.number).to_string_lossy());
        let (case, _) = cases
            .iter()
            .find(named)
            .unwrap_or_else(|| panic!("of which case is this: {error}"));
        Refused {
            case: case.number,
            error,
        }
    })?;
    let questions: usize = cases.iter().map(|(case, _)| case.questions.len()).sum();
    assert_eq!(
        verdict.asked, questions,
        "the program did not answer every question"
    );
    Ok(verdict)
}

/// The cases whose models the official engine does not take. At the first of them it ends, whatever it has answered before;
/// models alone are read in no time, so that nothing is asked twice.
pub(crate) fn refused(cases: &[&Case]) -> Vec<Refused> {
    let models: Vec<Case> = cases
        .iter()
        .map(|case| Case {
            tuples: Vec::new(),
            questions: Vec::new(),
            ..(*case).clone()
        })
        .collect();
    let mut all = Vec::new();
    let mut rest = &models[..];
    while !rest.is_empty() {
        let asked: Vec<(&Case, &[Answer])> = rest.iter().map(|case| (case, &[][..])).collect();
        let dir = tempfile::tempdir().expect("a directory");
        let Err(refused) = ask(dir.path(), &asked) else {
            break;
        };
        // It goes through them in the order of their numbers.
        let at = rest.iter().position(|case| case.number == refused.case);
        rest = &rest[at.expect("one of these cases") + 1..];
        all.push(refused);
    }
    all
}

fn file(dir: &Path, case: u64) -> PathBuf {
    dir.join(format!("{case:012}.fga.yaml"))
}

/// Reads what the program printed.
fn read(text: &str) -> Result<Verdict, String> {
    let mut verdict = Verdict::default();
    let mut case = None;
    let mut in_summary = false;
    for line in text.lines() {
        if let Some(error) = line.strip_prefix("Error: ") {
            return Err(error.to_owned());
        }
        in_summary |= line == "# Test Summary #";
        if let Some(rest) = line.strip_prefix("(FAILING) ") {
            case = rest.split_once(':').and_then(|(number, _)| number.parse().ok());
        } else if let Some(rest) = line.strip_prefix("ⅹ ") {
            let (question, answer) =
                read_other(rest).unwrap_or_else(|| panic!("what does this mean: {line}"));
            let number = case.unwrap_or_else(|| panic!("of which case is this: {line}"));
            let before = verdict.others.insert((number, question), answer);
            assert!(before.is_none(), "twice: {line}");
        } else if in_summary && let Some((what, counts)) = line.split_once(' ') {
            let asked = counts.trim_end_matches(" passing").split_once('/');
            if let ("Checks" | "ListObjects" | "ListUsers", Some((_, asked))) = (what, asked) {
                verdict.asked += asked.parse::<usize>().expect("a number");
            }
        }
    }
    assert!(in_summary, "the program ended without a summary:\n{text}");
    Ok(verdict)
}

/// Reads a line such as `Check(user=…,relation=…,object=…): expected=true, got=false`.
fn read_other(line: &str) -> Option<(String, Answer)> {
    let (question, rest) = line.split_once(": expected=")?;
    let (_, got) = rest
        .rsplit_once("got=")
        .filter(|_| !rest.contains("error="))
        .or_else(|| {
            let (before, error) = rest.split_once(", error=")?;
            before.ends_with("got=N/A").then_some(("", error))
        })?;
    let answer = if rest.contains("error=") {
        Answer::None(got.to_owned())
    } else if let Ok(holds) = got.parse() {
        Answer::Holds(holds)
    } else {
        let list = got
            .strip_prefix("{Users:")
            .and_then(|list| list.strip_suffix('}'))
            .unwrap_or(got);
        let list = list.strip_prefix('[')?.strip_suffix(']')?;
        Answer::List(list.split_whitespace().map(str::to_owned).collect())
    };
    // The place in memory of a relation's name is another one each time.
    let question = match question.split_once("Relation:0x") {
        Some((before, _)) => format!("{before}Relation:0x}})"),
        None => question.to_owned(),
    };
    Some((question, answer))
}

/// The official engine's answer: another one than expected, or the expected one.
pub(crate) fn answer(verdict: &Verdict, case: &Case, question: &Question, expected: &Answer) -> Answer {
    let other = verdict.others.get(&(case.number, question.to_string()));
    other.cloned().unwrap_or_else(|| match question {
        Question::Check { .. } => Answer::Holds(expected.holds()),
        Question::Objects { .. } | Question::Subjects { .. } => Answer::List(expected.listed()),
    })
}

#[test]
fn lines_of_the_program_are_read() {
    let read = |line| read_other(line).expect("a line");
    let list = |ids: &[&str]| Answer::List(ids.iter().map(|&id| id.to_owned()).collect());
    let check = Question::check("doc:1", "viewer", "user:ann");
    assert_eq!(
        read("Check(user=user:ann,relation=viewer,object=doc:1): expected=true, got=false"),
        (check.to_string(), Answer::Holds(false))
    );
    assert_eq!(
        read(
            "Check(user=user:ann,relation=viewer,object=doc:1): expected=true, got=N/A, error=rpc error: no, got=x"
        ),
        (check.to_string(), Answer::None("rpc error: no, got=x".to_owned()))
    );
    assert_eq!(
        read("ListObjects(user=user:ann,relation=viewer,type=doc): expected=[], got=[doc:1 doc:2]"),
        (
            Question::objects("doc", "viewer", "user:ann").to_string(),
            list(&["doc:1", "doc:2"])
        )
    );
    assert_eq!(
        read(
            "ListUsers(object={Type:doc Id:1},relation=viewer,user_filter={Type:user Relation:<nil>}): \
             expected={Users:[user:*]}, got={Users:[]}"
        ),
        (
            Question::subjects("doc:1", "viewer", "user", None).to_string(),
            list(&[])
        )
    );
    assert_eq!(
        read(
            "ListUsers(object={Type:doc Id:1},relation=viewer,user_filter={Type:team Relation:0x1bd173e2b950}): \
             expected={Users:[]}, got={Users:[team:1#member]}"
        ),
        (
            Question::subjects("doc:1", "viewer", "team", Some("member")).to_string(),
            list(&["team:1#member"])
        )
    );
}
