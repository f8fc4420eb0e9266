//! What the product can do, each test a sentence, against real parts.

mod house;
mod postgres;
mod storage;
