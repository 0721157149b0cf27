//! What is wrong with a configuration, and where. Every problem is collected; none of them shows a secret.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// Nowhere: it is a default, or the problem is with the file as a whole.
    Unwritten,
    /// In this environment variable.
    Environment(String),
    /// In the file, counted from 1.
    File {
        /// The line.
        line: u64,
        /// The column.
        column: u64,
    },
}

/// One thing that is wrong, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The configuration file.
    pub file: PathBuf,
    /// Where the setting was written.
    pub position: Position,
    /// The path of the setting, for example `routes[2].require.role`; empty for the file as a whole.
    pub key: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.position {
            Position::Unwritten => write!(f, "{}: ", self.file.display())?,
            Position::Environment(name) => write!(f, "environment variable {name}: ")?,
            Position::File { line, column } => write!(f, "{}:{line}:{column}: ", self.file.display())?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a configuration, in the order of the file. There is always at least one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<Problem>);

impl ConfigErrors {
    /// The problems, if there are any, in the order of the file.
    pub(crate) fn from_problems(mut problems: Vec<Problem>) -> Result<(), Self> {
        problems.sort_by(|a, b| a.position.cmp(&b.position));
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self(problems))
        }
    }

    /// A problem of the file as a whole.
    pub(crate) fn of_file(file: &Path, position: Position, message: String) -> Self {
        Self(vec![Problem {
            file: file.to_owned(),
            position,
            key: String::new(),
            message,
        }])
    }

    /// The problems, one by one.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(position: Position, key: &str) -> Problem {
        Problem {
            file: "edge.yaml".into(),
            position,
            key: key.to_owned(),
            message: "it is wrong".to_owned(),
        }
    }

    #[test]
    fn problems_stand_in_the_order_of_the_file() {
        let at = |line, column| Position::File { line, column };
        let problems = vec![
            problem(at(10, 1), "d"),
            problem(at(9, 20), "c"),
            problem(at(9, 3), "b"),
            problem(Position::Environment("SENTINEL__A".to_owned()), "a"),
            problem(Position::Unwritten, ""),
        ];
        let errors = ConfigErrors::from_problems(problems).expect_err("there are problems");
        let told = [
            "edge.yaml: it is wrong",
            "environment variable SENTINEL__A: a: it is wrong",
            "edge.yaml:9:3: b: it is wrong",
            "edge.yaml:9:20: c: it is wrong",
            "edge.yaml:10:1: d: it is wrong",
        ];
        assert_eq!(errors.to_string(), told.join("\n"));
        assert_eq!(errors.problems().len(), 5);
    }

    #[test]
    fn no_problem_is_no_error() {
        assert_eq!(ConfigErrors::from_problems(Vec::new()), Ok(()));
    }
}
