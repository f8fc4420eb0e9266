//! JOSE: keys and tokens.
