//! Change capture as state machines without I/O: values in, values out, so that every one of them is tested with seeds.
#![deny(unsafe_code)]

pub mod net;
pub mod xids;
