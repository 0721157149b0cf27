//! Where in a file something stands, for who judges it after the file was read.

use std::fmt;
use std::path::PathBuf;

use schemars::{Schema, SchemaGenerator};

use crate::problem::{Position, Problem};
use crate::schema::SectionSchema;
use crate::section::{Place, Reader, Section, Setting};

/// Where something was written. It is not a setting: it comes with the section that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    file: PathBuf,
    position: Position,
    key: String,
}

impl Written {
    /// What is wrong there, and how to mend it.
    pub fn problem(&self, message: String) -> Problem {
        Problem {
            file: self.file.clone(),
            position: self.position.clone(),
            key: self.key.clone(),
            message,
        }
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

impl Setting for Written {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            file: reader.file.clone(),
            position: place.node.at.clone(),
            key: place.path.clone(),
        })
    }

    fn take(section: &mut Section<'_>, _: &str, _: Option<&str>, reader: &mut Reader<'_>) -> Option<Self> {
        Self::read(section.place(), reader)
    }

    fn describe(generator: &mut SchemaGenerator) -> Schema {
        String::describe(generator)
    }

    fn describe_in(_: &mut SectionSchema, _: &str, _: &str, _: Option<&str>, _: &mut SchemaGenerator) {}
}
