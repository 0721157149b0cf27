//! Models of services as files, for who judges a policy before any control plane is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::{Schema, SchemaGenerator, json_schema};
use sentinel_core::name::ServiceName;

use super::policy_test::Written;
use crate::section::{Place, Reader, Section, Setting};

/// The models of services, by the service's name.
#[derive(Debug, Clone, Default)]
pub struct Models(BTreeMap<ServiceName, ModelFile>);

/// A service's model as a file.
#[derive(Debug, Clone)]
pub struct ModelFile {
    /// The file.
    pub path: PathBuf,
    /// What is in it: OpenFGA's language, or its JSON form. It was not looked at yet.
    pub text: String,
    /// Where the file is named.
    pub written: Written,
}

/// More than any model needs.
const LARGEST: u64 = 1 << 20;

impl Models {
    /// The models, by the service's name.
    pub fn iter(&self) -> impl Iterator<Item = (&ServiceName, &ModelFile)> {
        self.0.iter()
    }

    /// The model of a service.
    pub fn get(&self, service: &ServiceName) -> Option<&ModelFile> {
        self.0.get(service)
    }
}

impl Setting for Models {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let section = Section::open(place, reader)?;
        let mut models = Some(BTreeMap::new());
        for (entry, place) in section.entries() {
            let service = entry.key.parse::<ServiceName>();
            if let Err(error) = &service {
                reader.problem_at(entry.at.clone(), place.path.clone(), error.to_string());
            }
            let file = ModelFile::read(&place, reader);
            match (service, file, &mut models) {
                (Ok(service), Some(file), Some(models)) => drop(models.insert(service, file)),
                _ => models = None,
            }
        }
        models.map(Self)
    }

    fn describe(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": "^[a-z][a-z0-9_.-]*$" },
            "additionalProperties": PathBuf::describe(generator),
        })
    }
}

impl ModelFile {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let path = PathBuf::read(place, reader)?;
        let text = read(&path)
            .inspect_err(|message| reader.problem(place, message))
            .ok()?;
        Some(Self {
            path,
            text,
            written: Written::read(place, reader)?,
        })
    }
}

fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let metadata = fs::metadata(path).map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("`{shown}` is not a file"));
    }
    if metadata.len() > LARGEST {
        return Err(format!("`{shown}` is larger than any model"));
    }
    fs::read_to_string(path).map_err(|error| format!("`{shown}` cannot be read: {error}"))
}
