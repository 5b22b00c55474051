//! The output path: ratatui's buffer for drawing, our own way from buffer to bytes.
//!
//! `Screen` holds what the terminal shows and what it should show; `encode` finds a short way from
//! one to the other; `pace` keeps a slow line from filling up with pictures nobody will see.

mod encode;
mod pace;
mod screen;
mod sgr;
mod short;

pub use encode::Options;
pub use pace::Pace;
pub use screen::{Frame, Painted, Region, Screen};

#[cfg(test)]
mod tests;
