//! What every story needs: the programs, a ward of them, and a wire to tamper with.

pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod ward;

pub(crate) use self::{
    program::{Program, Said, fits},
    proxy::Proxy,
    ward::{Spot, Ward},
};
