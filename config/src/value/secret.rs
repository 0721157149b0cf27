//! Secrets: each is written as `x`, or read from the file that `x_file` names; never both. No message shows one.

use std::fs;
use std::path::{Path, PathBuf};

use schemars::{Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use serde_json::json;

use super::plain::text;
use crate::schema::SectionSchema;
use crate::section::{Place, Reader, Section, Setting};
use crate::tree::Data;

/// The switch that lets secret files be readable by every user of the machine.
pub(crate) const READABLE_SWITCH: &str = "danger_world_readable_secrets";

/// Far more than any secret needs.
const LARGEST: u64 = 64 * 1024;

impl Setting for SecretString {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let secret = text(place, reader)?.trim_end_matches(['\n', '\r']);
        if secret.is_empty() {
            reader.problem(place, "the secret is empty");
            return None;
        }
        Some(secret.into())
    }

    fn describe(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }

    fn take(section: &mut Section<'_>, key: &str, _: Option<&str>, reader: &mut Reader<'_>) -> Option<Self> {
        let file_key = format!("{key}_file");
        match (section.get(key), section.get(&file_key)) {
            (Some(place), None) => Self::read(&place, reader),
            (None, Some(place)) => from_file(&place, reader),
            (Some(_), Some(place)) => {
                reader.problem(
                    &place,
                    format!("both `{key}` and `{file_key}` are written: keep one"),
                );
                None
            }
            (None, None) => {
                let path = section.path_of(key);
                let at = section.place().node.at.clone();
                reader.problem_at(at, path, format!("`{key}` or `{file_key}` is missing"));
                None
            }
        }
    }

    fn is_written(section: &mut Section<'_>, key: &str) -> bool {
        let inline = section.get(key).is_some();
        section.get(&format!("{key}_file")).is_some() || inline
    }

    fn describe_in(
        section: &mut SectionSchema,
        key: &str,
        doc: &str,
        default: Option<&str>,
        generator: &mut SchemaGenerator,
    ) {
        let file_key = format!("{key}_file");
        section.property(key, Self::describe(generator), doc, None);
        let file_doc = format!(
            "A file that holds `{key}`, readable by nobody but its owner and group. A line end at its end does not count."
        );
        section.property(&file_key, PathBuf::describe(generator), &file_doc, None);
        section.rule(if default.is_none() {
            json!({ "oneOf": [{ "required": [key] }, { "required": [file_key] }] })
        } else {
            json!({ "not": { "required": [key, file_key] } })
        });
    }
}

fn from_file(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<SecretString> {
    let path = PathBuf::read(place, reader)?;
    match read_secret(&path, may_be_readable(reader)) {
        Ok(secret) => Some(secret),
        Err(message) => {
            reader.problem(place, message);
            None
        }
    }
}

/// Whether the configuration lets files of secrets be readable by every user of the machine.
pub(crate) fn may_be_readable(reader: &Reader<'_>) -> bool {
    let switch = reader.root.get(READABLE_SWITCH).map(|node| &node.data);
    matches!(switch, Some(Data::Bool(true)))
}

/// The secret in a file; what is wrong, in a sentence that shows nothing of it, if there is none.
pub(crate) fn read_secret(path: &Path, may_be_readable: bool) -> Result<SecretString, String> {
    let shown = path.display();
    let metadata = fs::metadata(path).map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("`{shown}` is not a file"));
    }
    if !may_be_readable && is_world_readable(&metadata) {
        return Err(format!(
            "`{shown}` may be read by every user of this machine: `chmod 600` it, or set `{READABLE_SWITCH}: true`"
        ));
    }
    if metadata.len() > LARGEST {
        return Err(format!("`{shown}` is larger than any secret"));
    }
    let bytes = fs::read(path).map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("`{shown}` is not a text in UTF-8"))?;
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() {
        return Err(format!("`{shown}` is empty"));
    }
    Ok(secret.into())
}

#[cfg(unix)]
fn is_world_readable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn is_world_readable(_: &fs::Metadata) -> bool {
    false
}
