//! Encryption of what clients send.

use std::fs;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::section::{Reader, Section, section};
use crate::value::words;
use crate::value::{may_be_readable, read_secret};

/// Far more than any chain of certificates needs, in bytes.
const LARGEST_CHAIN: u64 = 1024 * 1024;

section! {
    /// Encryption on `listen.https`.
    check check;
    pub struct Tls {
        /// Certificates. The one that is for the name that a client asks for is shown; the first where none is. The files are
        /// read anew when they change.
        pub certificates: Vec<Certificate>,
        /// The oldest version of TLS that is spoken.
        pub min_version: TlsVersion = "tls1.2",
    }
}

section! {
    /// A certificate and its private key.
    check check_certificate;
    pub struct Certificate {
        /// The chain in PEM, the server's certificate first.
        pub certificate_file: PathBuf,
        /// The private key in PEM, which other users of the machine may not read.
        pub key_file: PathBuf,
    }
}

words! {
    /// A version of TLS.
    pub enum TlsVersion {
        /// TLS 1.2 (RFC 5246).
        V12 = "tls1.2",
        /// TLS 1.3 (RFC 8446).
        V13 = "tls1.3",
    }
}

impl Certificate {
    /// The chain as it is in its file now.
    ///
    /// # Errors
    /// What is wrong with the file, in a sentence that names it.
    pub fn read_chain(&self) -> Result<Vec<u8>, String> {
        let shown = self.certificate_file.display();
        let unreadable = |error| format!("`{shown}` cannot be read: {error}");
        let metadata = fs::metadata(&self.certificate_file).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(format!("`{shown}` is not a file"));
        }
        if metadata.len() > LARGEST_CHAIN {
            return Err(format!("`{shown}` is larger than any chain of certificates"));
        }
        let chain = fs::read(&self.certificate_file).map_err(unreadable)?;
        if is_pem(&chain) {
            Ok(chain)
        } else {
            Err(format!(
                "`{shown}` holds nothing in PEM: lines from `-----BEGIN CERTIFICATE-----` on are expected"
            ))
        }
    }

    /// The private key as it is in its file now. `may_be_readable` lets every user of the machine read the file.
    ///
    /// # Errors
    /// What is wrong with the file, in a sentence that names it and nothing of what is in it.
    pub fn read_key(&self, may_be_readable: bool) -> Result<SecretString, String> {
        read_secret(&self.key_file, may_be_readable)
    }
}

/// Whether there is anything in PEM (RFC 7468 §2). What it is, only the one who uses it can tell.
fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|window| window == b"-----BEGIN ")
}

fn check(tls: &Tls, section: &Section<'_>, reader: &mut Reader<'_>) {
    if tls.certificates.is_empty() {
        reader.problem(
            &section.place_of("certificates"),
            "there is no certificate: write one at least, with `certificate_file` and `key_file`",
        );
    }
}

fn check_certificate(certificate: &Certificate, section: &Section<'_>, reader: &mut Reader<'_>) {
    if let Err(message) = certificate.read_chain() {
        reader.problem(&section.place_of("certificate_file"), message);
    }
    let may_be_readable = may_be_readable(reader);
    if let Err(message) = certificate.read_key(may_be_readable) {
        reader.problem(&section.place_of("key_file"), message);
    }
}
