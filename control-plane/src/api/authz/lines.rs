//! A request's body, line by line: it is never in memory as a whole.

use std::pin::Pin;

use axum::body::Body;
use hyper::body::Body as _;

use super::transfer::MAX_IMPORT;
use crate::extract::body::{broken_off, too_large};
use crate::problem::ApiError;

/// The longest line, in bytes.
const MAX_LINE: usize = 16 * 1024;

/// How many blank lines a body may have: they cost no less than others, and say nothing.
const MAX_BLANK: u64 = 10_000;

/// A body, line by line.
pub(super) struct Lines {
    body: Body,
    buffer: Vec<u8>,
    /// Up to here it was given out.
    start: usize,
    /// How many bytes have come.
    bytes: u64,
    /// How many lines were given out.
    number: u64,
    /// How many of them were blank.
    blank: u64,
    is_over: bool,
}

impl Lines {
    /// The lines of a body.
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            buffer: Vec::new(),
            start: 0,
            bytes: 0,
            number: 0,
            blank: 0,
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
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            let unseen = rest.get(looked..).unwrap_or_default();
            if let Some(end) = unseen.iter().position(|byte| *byte == b'\n') {
                let line = rest.get(..looked + end).unwrap_or_default().to_vec();
                self.start += looked + end + 1;
                return self.line(line).map(Some);
            }
            if rest.len() > MAX_LINE {
                return Err(self.too_long());
            }
            if self.is_over {
                if rest.is_empty() {
                    return Ok(None);
                }
                let line = rest.to_vec();
                self.start = self.buffer.len();
                return self.line(line).map(Some);
            }
            looked = rest.len();
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), ApiError> {
        // Once for all lines that were in it, and no more room is kept than one line may need.
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.shrink_to(MAX_LINE);
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
        if line.trim_ascii().is_empty() {
            self.blank = self.blank.saturating_add(1);
            if self.blank > MAX_BLANK {
                let place = format!("line {}", self.number);
                return Err(ApiError::invalid(
                    ["body", place.as_str()],
                    format!("at most {MAX_BLANK} blank lines are left out"),
                ));
            }
        }
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
        let blank = |count: u64| " \r\n".repeat(usize::try_from(count).expect("small"));
        assert_eq!(
            lines(&blank(MAX_BLANK)).await.expect("lines").len() as u64,
            MAX_BLANK
        );
        assert!(lines(&blank(MAX_BLANK + 1)).await.is_err());
        let long = "x".repeat(MAX_LINE);
        assert_eq!(lines(&format!("{long}\n{long}")).await.expect("lines").len(), 2);
        let pieces = ["a\nb", "b", "\n\nc", "c\n", "d"].map(Ok::<_, std::convert::Infallible>);
        let mut pieces = Lines::new(Body::from_stream(futures_util::stream::iter(pieces)));
        for line in ["a", "bb", "", "cc", "d"] {
            assert_eq!(
                pieces.next().await.expect("a line").as_deref(),
                Some(line.as_bytes())
            );
        }
        assert_eq!(pieces.next().await.expect("the end"), None);
        for bad in [format!("{long}x"), format!("a\n{long}x\nb")] {
            assert_eq!(lines(&bad).await.expect_err("too long").status().as_u16(), 422);
        }
    }
}
