//! What `disk` uses of `std::fs`. Inside a simulation it is the simulated disk that the directory stands for; elsewhere it
//! is the real thing.

use std::cell::Cell;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::disk::Disk;

pub(crate) use std::fs::{Permissions, TryLockError};

/// A disk that hosts and the script of a run share.
pub(crate) type Shared = Arc<Mutex<Disk>>;

pub(crate) fn lock(disk: &Shared) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// Until when the disk works that was used last.
    static BUSY: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Until when the disk that `work` used has to work on what it was given.
pub(crate) fn busy_with<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    BUSY.set(Duration::ZERO);
    (work(), BUSY.get())
}

fn with<T>(disk: &Shared, act: impl FnOnce(&mut Disk) -> T) -> T {
    let mut disk = lock(disk);
    let outcome = act(&mut disk);
    BUSY.set(disk.busy_until());
    outcome
}

/// The simulated disk that a path is on, and the name on it; no name for the directory itself.
fn on_disk(path: &Path) -> Option<(Shared, Option<&str>)> {
    if let Some(disk) = super::stage::disk(path) {
        return Some((disk, None));
    }
    let disk = super::stage::disk(path.parent()?)?;
    Some((disk, path.file_name().and_then(OsStr::to_str)))
}

/// A file, or a directory.
#[derive(Debug)]
pub(crate) struct File(Kind);

enum Kind {
    Real(std::fs::File),
    Simulated {
        disk: Shared,
        /// `None` for the directory.
        file: Option<usize>,
        append: bool,
        at: usize,
    },
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Real(file) => file.fmt(f),
            Self::Simulated { file, .. } => write!(f, "simulated file {file:?}"),
        }
    }
}

#[derive(Clone)]
pub(crate) struct OpenOptions {
    real: std::fs::OpenOptions,
    append: bool,
    truncate: bool,
    create: bool,
}

impl OpenOptions {
    pub(crate) fn write(&mut self, write: bool) -> &mut Self {
        self.real.write(write);
        self
    }

    pub(crate) fn append(&mut self, append: bool) -> &mut Self {
        self.real.append(append);
        self.append = append;
        self
    }

    pub(crate) fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.real.truncate(truncate);
        self.truncate = truncate;
        self
    }

    pub(crate) fn create(&mut self, create: bool) -> &mut Self {
        self.real.create(create);
        self.create = create;
        self
    }

    pub(crate) fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let path = path.as_ref();
        let Some((disk, name)) = on_disk(path) else {
            return Ok(File(Kind::Real(self.real.open(path)?)));
        };
        let file = match name {
            None => None,
            Some(name) => Some(with(&disk, |disk| match disk.find(name) {
                Some(file) if self.truncate => disk.set_length(file, 0).map(|()| file),
                Some(file) => Ok(file),
                None if self.create => disk.create(name),
                None => Err(io::ErrorKind::NotFound.into()),
            })?),
        };
        Ok(File(Kind::Simulated {
            disk,
            file,
            append: self.append,
            at: 0,
        }))
    }
}

impl OpenOptionsExt for OpenOptions {
    fn mode(&mut self, mode: u32) -> &mut Self {
        self.real.mode(mode);
        self
    }

    fn custom_flags(&mut self, flags: i32) -> &mut Self {
        self.real.custom_flags(flags);
        self
    }
}

impl File {
    pub(crate) fn options() -> OpenOptions {
        OpenOptions {
            real: std::fs::OpenOptions::new(),
            append: false,
            truncate: false,
            create: false,
        }
    }

    pub(crate) fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        if on_disk(path).is_some() {
            return Self::options().open(path);
        }
        std::fs::File::open(path).map(|file| Self(Kind::Real(file)))
    }

    pub(crate) fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        match &self.0 {
            Kind::Real(file) => file.set_permissions(permissions),
            Kind::Simulated { .. } => Ok(()),
        }
    }

    /// On a simulated machine there is one process.
    pub(crate) fn try_lock(&self) -> Result<(), TryLockError> {
        match &self.0 {
            Kind::Real(file) => file.try_lock(),
            Kind::Simulated { .. } => Ok(()),
        }
    }

    pub(crate) fn set_len(&self, length: u64) -> io::Result<()> {
        match &self.0 {
            Kind::Real(real) => real.set_len(length),
            Kind::Simulated { disk, file, .. } => {
                let length = usize::try_from(length).map_err(io::Error::other)?;
                with(disk, |disk| disk.set_length(file.unwrap_or(usize::MAX), length))
            }
        }
    }

    pub(crate) fn sync_all(&self) -> io::Result<()> {
        match &self.0 {
            Kind::Real(file) => file.sync_all(),
            Kind::Simulated { disk, file, .. } => with(disk, |disk| match file {
                Some(file) => disk.sync(*file),
                None => disk.sync_names(),
            }),
        }
    }

    pub(crate) fn sync_data(&self) -> io::Result<()> {
        match &self.0 {
            Kind::Real(file) => file.sync_data(),
            Kind::Simulated { .. } => self.sync_all(),
        }
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Real(file) => file.write(bytes),
            Kind::Simulated {
                disk,
                file: Some(file),
                append,
                at,
            } => with(disk, |disk| {
                let place = if *append { disk.length(*file) } else { *at };
                disk.write(*file, place, bytes)?;
                *at = place + bytes.len();
                Ok(bytes.len())
            }),
            Kind::Simulated { file: None, .. } => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    match on_disk(path) {
        None => std::fs::read(path),
        Some((disk, name)) => with(&disk, |disk| {
            let content = name.and_then(|name| disk.read(name)).map(<[u8]>::to_vec);
            content.ok_or_else(|| io::ErrorKind::NotFound.into())
        }),
    }
}

pub(crate) fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    match (on_disk(from), on_disk(to)) {
        (Some((disk, Some(from))), Some((_, Some(to)))) => with(&disk, |disk| disk.rename(from, to)),
        _ => std::fs::rename(from, to),
    }
}

pub(crate) fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    match on_disk(path) {
        Some((disk, Some(name))) => with(&disk, |disk| disk.remove(name)),
        _ => std::fs::remove_file(path),
    }
}

pub(crate) struct DirBuilder(std::fs::DirBuilder);

impl DirBuilder {
    pub(crate) fn new() -> Self {
        Self(std::fs::DirBuilder::new())
    }

    pub(crate) fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.0.recursive(recursive);
        self
    }

    pub(crate) fn create(&self, path: &Path) -> io::Result<()> {
        match on_disk(path) {
            Some(_) => Ok(()),
            None => self.0.create(path),
        }
    }
}

impl DirBuilderExt for DirBuilder {
    fn mode(&mut self, mode: u32) -> &mut Self {
        self.0.mode(mode);
        self
    }
}
