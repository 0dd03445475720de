namespace Zqfp.Tool.Tests;

public class UsageTests
{
    private static readonly string[] Quantize = ["quantize", "m.onnx", "-o", "out.onnx"];
    private static readonly string[] Gate = ["gate", "m.onnx", "--against", "f.onnx", "--text", "t.txt"];

    [Theory]
    [InlineData("--weights", "fp5", "fp4, fp8, mxfp4, mxfp8, fp8-block, int4, int8")]
    [InlineData("--activations", "fp16", "fp8, int8, none")]
    [InlineData("--method", "magic", "gptq, rtn")]
    [InlineData("--constraint", "m3", "m2, m1, none")]
    [InlineData("--rounding", "up", "nearest, floor, ceil")]
    [InlineData("--profile", "tflite", "custom, stock, portable, qdq")]
    [InlineData("--profile", "custom,tflite", "not 'tflite'")]
    [InlineData("--profile", "custom,", "custom, stock, portable, qdq")]
    [InlineData("--calibrate-on", "half", "quantized, float")]
    [InlineData("--min-size", "-1", "at least 0")]
    [InlineData("--override", "down_proj", "format=fp8,rank=16")]
    [InlineData("--override", ":rank=1", "format=fp8,rank=16")]
    [InlineData("--override", "a:", "group-size")]
    [InlineData("--override", "a:rank", "not 'rank'")]
    [InlineData("--override", "a:rank=-1", "not 'rank=-1'")]
    [InlineData("--override", "a:format=fp5", "fp4, fp8, mxfp4, mxfp8, fp8-block, int4, int8, e3m0, e5m2, float")]
    [InlineData("--override", "a:rank=1,speed=2", "not 'speed=2'")]
    [InlineData("--rank", "-1", "at least 0")]
    [InlineData("--rank", "1,000", "at least 0")]
    [InlineData("--group-size", "big", "at least -1")]
    [InlineData("--window", "1", "at least 2")]
    [InlineData("--windows", "99999999999", "at least 0")]
    [InlineData("--threads", "1.5", "at least 0")]
    [InlineData("--bos", "always", "none, text, document, window")]
    [InlineData("--window-seed", "x", "a whole number, not 'x'")]
    [InlineData("--window-seed", "99999999999", "a whole number")]
    [InlineData("--unknown", "x", "--unknown")]
    public void A_wrong_value_is_a_coded_error_that_names_the_right_ones(string option, string value, string expected) =>
        AssertUsageError(ToolProcess.Run([.. Quantize, option, value]), option, expected);

    [Theory]
    [InlineData("m.onnx")]
    [InlineData("./m.onnx")]
    [InlineData("out.onnx")]
    [InlineData("out.onnx.data")]
    [InlineData("t.json")]
    public void A_result_that_would_overwrite_another_file_of_the_command_is_refused(string file) =>
        AssertUsageError(ToolProcess.Run([.. Quantize, "--tokenizer", "t.json", "--result", file]), "--result", "would overwrite");

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    public void A_result_that_is_no_file_is_refused(string file) =>
        AssertUsageError(ToolProcess.Run([.. Gate, "--result", file]), "--result", "is none");

    /// <summary>As a script gives them whose variable is not set.</summary>
    [Theory]
    [InlineData("--output", "quantize", "m.onnx")]
    [InlineData("--tokenizer", "quantize", "m.onnx", "-o", "out.onnx")]
    [InlineData("--work", "quantize", "m.onnx", "-o", "out.onnx")]
    [InlineData("--recipe", "plan", "m.onnx")]
    [InlineData("--against", "gate", "m.onnx", "--text", "t.txt")]
    [InlineData("--cache", "gate", "m.onnx", "--against", "f.onnx", "--text", "t.txt")]
    [InlineData("--baseline", "gate", "m.onnx", "--against", "f.onnx", "--text", "t.txt")]
    [InlineData("--text", "evaluate", "m.onnx")]
    [InlineData("--gate", "report", "q.json", "-o", "r.html")]
    public void An_empty_path_is_a_usage_error_and_no_defect(string option, params string[] command) =>
        AssertUsageError(ToolProcess.Run([.. command, option, ""]), option, "is none");

    [Theory]
    [InlineData("--max-increase", "5", "5%")]
    [InlineData("--max-increase", "0.05", "5%")]
    [InlineData("--max-increase", "-1%", "5%")]
    [InlineData("--max-increase", "5,0%", "5%")]
    [InlineData("--max-increase", "NaN%", "5%")]
    [InlineData("--max-perplexity", "0", "positive")]
    public void A_wrong_limit_is_a_coded_error_that_shows_a_right_one(string option, string value, string expected) =>
        AssertUsageError(ToolProcess.Run([.. Gate, option, value]), option, expected);

    [Fact]
    public void A_command_without_its_arguments_names_them()
    {
        ToolProcess result = ToolProcess.Run("quantize", "m.onnx");

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("--output", Assert.Single(result.Errors), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("evaluate", "m.onnx")]
    [InlineData("gate", "m.onnx", "--against", "f.onnx")]
    public void Measuring_needs_something_to_measure_on(params string[] arguments)
    {
        ToolProcess result = ToolProcess.Run(arguments);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("--text FILE, --task TASK, or both", Assert.Single(result.Errors), StringComparison.Ordinal);
    }

    [Fact]
    public void No_command_is_a_usage_error_that_shows_the_commands()
    {
        ToolProcess result = ToolProcess.Run();

        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains("quantize <MODEL>", result.Error, StringComparison.Ordinal);
        Assert.Contains("ZQFP0900", Assert.Single(result.Errors), StringComparison.Ordinal);
    }

    [Fact]
    public void An_argument_with_an_at_sign_is_a_path_and_no_response_file()
    {
        ToolProcess result = ToolProcess.Run("quantize", "@model.onnx", "-o", "out.onnx", "--tokenizer", "t", "--calibration", "c");

        Assert.Equal(10, result.ExitCode);
        Assert.Contains("@model.onnx", Assert.Single(result.Errors), StringComparison.Ordinal);
    }

    private static void AssertUsageError(ToolProcess result, string option, string expected)
    {
        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.All(result.Errors, error => Assert.StartsWith("dotnet-zqfp : error ZQFP0900: ", error, StringComparison.Ordinal));
        Assert.Contains(
            result.Errors, error => error.Contains(option, StringComparison.Ordinal) && error.Contains(expected, StringComparison.Ordinal));
        Assert.Contains("--help", result.Errors[0], StringComparison.Ordinal);
    }
}
