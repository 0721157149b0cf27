//! Encryption of what clients send.

use std::path::PathBuf;

use crate::section::section;
use crate::value::words;

section! {
    /// Encryption on `listen.https`.
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
