//! Cedar: bundles and decisions.
