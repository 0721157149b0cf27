//! A request's body, line by line: it is never in memory as a whole.

use std::pin::Pin;

use axum::body::Body;
use hyper::body::Body as _;

use super::transfer::MAX_IMPORT;
use crate::extract::body::{broken_off, too_large};
use crate::problem::ApiError;

/// The longest line, in bytes.
const MAX_LINE: usize = 16 * 1024;

/// A body, line by line.
pub(super) struct Lines {
    body: Body,
    buffer: Vec<u8>,
    /// How many bytes have come.
    bytes: u64,
    /// How many lines were given out.
    number: u64,
    is_over: bool,
}

impl Lines {
    /// The lines of a body.
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            buffer: Vec::new(),
            bytes: 0,
            number: 0,
            is_over: false,
        }
    }

    /// How many lines were given out.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line, without its end.
    ///
    /// # Errors
    /// The body broke off, or a line or the whole of it is too long.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, ApiError> {
        // What was looked at already has no line end.
        let mut looked = 0;
        loop {
            let rest = self.buffer.get(looked..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let after = self.buffer.split_off(looked + end + 1);
                let mut line = std::mem::replace(&mut self.buffer, after);
                line.pop();
                return self.line(line).map(Some);
            }
            if self.buffer.len() > MAX_LINE {
                return Err(self.too_long());
            }
            if self.is_over {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                let line = std::mem::take(&mut self.buffer);
                return self.line(line).map(Some);
            }
            looked = self.buffer.len();
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), ApiError> {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await;
        match frame {
            None => self.is_over = true,
            Some(Err(error)) => return Err(broken_off(error)),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.bytes = self.bytes.saturating_add(data.len() as u64);
                    if self.bytes > MAX_IMPORT {
                        return Err(too_large());
                    }
                    self.buffer.extend_from_slice(data);
                }
            }
        }
        Ok(())
    }

    fn line(&mut self, line: Vec<u8>) -> Result<Vec<u8>, ApiError> {
        if line.len() > MAX_LINE {
            return Err(self.too_long());
        }
        self.number = self.number.saturating_add(1);
        Ok(line)
    }

    fn too_long(&self) -> ApiError {
        let line = format!("line {}", self.number.saturating_add(1));
        ApiError::invalid(
            ["body", line.as_str()],
            format!("a line has at most {MAX_LINE} bytes"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &str) -> Result<Vec<String>, ApiError> {
        let mut lines = Lines::new(Body::from(text.to_owned()));
        let mut found = Vec::new();
        while let Some(line) = lines.next().await? {
            found.push(String::from_utf8(line).expect("text"));
        }
        assert_eq!(lines.number, found.len() as u64);
        Ok(found)
    }

    #[tokio::test]
    async fn a_body_is_read_line_by_line() {
        for (text, expected) in [
            ("", vec![]),
            ("a", vec!["a"]),
            ("a\n", vec!["a"]),
            ("a\n\nb", vec!["a", "", "b"]),
            ("\n", vec![""]),
        ] {
            assert_eq!(lines(text).await.expect("lines"), expected, "{text:?}");
        }
        let long = "x".repeat(MAX_LINE);
        assert_eq!(lines(&format!("{long}\n{long}")).await.expect("lines").len(), 2);
        for bad in [format!("{long}x"), format!("a\n{long}x\nb")] {
            assert_eq!(lines(&bad).await.expect_err("too long").status().as_u16(), 422);
        }
    }
}
