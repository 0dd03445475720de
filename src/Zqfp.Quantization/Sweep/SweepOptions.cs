namespace Zqfp.Quantization;

/// <summary>Which model to sweep over the paper's configurations, and on which texts.</summary>
internal sealed record SweepOptions
{
    /// <summary>The float model.</summary>
    public required string ModelPath { get; init; }

    /// <summary>Text to calibrate on.</summary>
    public required string CalibrationPath { get; init; }

    /// <summary>Text to measure on.</summary>
    public required string TextPath { get; init; }

    /// <summary>The model's tokenizer; may be null where the texts are token ids.</summary>
    public string? TokenizerPath { get; init; }

    /// <summary>The folder that receives the tables, and keeps what is done, so that a sweep that was stopped continues there.</summary>
    public required string Folder { get; init; }

    /// <summary>Tokens in a window, of calibration and of evaluation.</summary>
    public int Window { get; init; } = 512;

    /// <summary>Calibration windows at most; 0 for all.</summary>
    public int CalibrationWindows { get; init; } = 96;

    /// <summary>Evaluation windows at most; 0 for all.</summary>
    public int Windows { get; init; }

    /// <summary>Tables to make; empty for all (see <see cref="SweepTable"/>).</summary>
    public IReadOnlyList<SweepTable> Tables { get; init; } = [];

    /// <summary>Threads used at most; 0 for one a processor.</summary>
    public int Threads { get; init; }
}
