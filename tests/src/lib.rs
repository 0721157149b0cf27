//! What the whole-system tests stand on: the real programs as processes, on throw-away servers that can be killed.
//!
//! Nothing here replaces a part of the product by something simpler.

pub mod browser_edge;
pub mod lagging_edge;
pub mod node;
pub mod python;
pub mod whole;
