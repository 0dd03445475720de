namespace Zqfp.Tool;

/// <summary>What the process ends with: one number per class of failure, so that a script need not read text.</summary>
internal static class ExitCodes
{
    public const int Success = 0;
    public const int Usage = 2;
    public const int Input = 10;
    public const int Model = 11;
    public const int Quantization = 12;
    public const int Evaluation = 13;
    public const int Runtime = 14;
    public const int GateFailed = 20;
    public const int InternalError = 70;
    public const int Cancelled = 130;

    /// <summary>Every code with its meaning, for the help.</summary>
    public static IReadOnlyList<(int Code, string Meaning)> All { get; } =
    [
        (Success, "done"),
        (Usage, "the command line is wrong"),
        (Input, "an input file or an option cannot be used (ZQFP0nnn)"),
        (Model, "the model cannot be used (ZQFP1nnn)"),
        (Quantization, "quantization failed (ZQFP2nnn)"),
        (Evaluation, "evaluation failed (ZQFP3nnn)"),
        (Runtime, "ONNX Runtime or the machine failed (ZQFP4nnn)"),
        (GateFailed, "the gate: a limit is exceeded (ZQFP3001, ZQFP3006, ZQFP3016, ZQFP3017)"),
        (InternalError, "a defect of this tool (ZQFP0909)"),
        (Cancelled, "cancelled"),
    ];

    /// <summary>The exit code of an error: the thousands of its diagnostic code.</summary>
    public static int Of(string diagnosticCode) => diagnosticCode[4] switch
    {
        '0' => Input,
        '1' => Model,
        '2' => Quantization,
        '3' => Evaluation,
        '4' => Runtime,
        _ => InternalError,
    };
}
