namespace Zqfp;

/// <summary>The commands of the tool that take options.</summary>
[Flags]
internal enum OptionCommands
{
    /// <summary>None: metadata that the build alone reads.</summary>
    None = 0,

    Quantize = 1,
    Plan = 2,
    Evaluate = 4,
    Gate = 8,
    Verify = 16,
    Sweep = 32,
    Report = 64,
    Inspect = 128,
    Doctor = 256,
    Bench = 512,
    Submit = 1024,

    /// <summary><c>plan</c> takes what <c>quantize</c> takes.</summary>
    Quantizing = Quantize | Plan,

    /// <summary>Commands that measure perplexity on a text.</summary>
    Measuring = Evaluate | Gate,

    /// <summary>Commands that compute for a while.</summary>
    Computing = Quantizing | Measuring | Verify | Sweep,
}
