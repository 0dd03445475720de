
namespace Zqfp.Build.Tasks.Tests;

public class ToolDiagnosticTests
{
    [Theory]
    [InlineData("/a b/m.onnx : error ZQFP1001: It is: broken.", true, "/a b/m.onnx", "ZQFP1001", "It is: broken.", 0, 0)]
    [InlineData("C:\\m.onnx : warning ZQFP2003: Hm.", false, "C:\\m.onnx", "ZQFP2003", "Hm.", 0, 0)]
    [InlineData("zqfp.json(12,5): error ZQFP0301: No.", true, "zqfp.json", "ZQFP0301", "No.", 12, 5)]
    [InlineData("zqfp.json(12) : error ZQFP0301: No.", true, "zqfp.json", "ZQFP0301", "No.", 12, 0)]
    [InlineData("dotnet-zqfp : error ZQFP0900: ", true, "dotnet-zqfp", "ZQFP0900", "", 0, 0)]
    public void Reads_the_canonical_form(string line, bool isError, string file, string code, string text, int lineNumber, int column)
    {
        ToolDiagnostic diagnostic = ToolDiagnostic.Parse(line)!;

        Assert.Equal((isError, file, code, text, lineNumber, column),
            (diagnostic.IsError, diagnostic.File, diagnostic.Code, diagnostic.Text, diagnostic.Line, diagnostic.Column));
    }

    [Theory]
    [InlineData("")]
    [InlineData("Quantizing: 3/28 layers (10 %), 0 errors")]
    [InlineData("m.onnx : error CS1001: not ours")]
    [InlineData("m.onnx : error ZQFP12: short")]
    [InlineData("m.onnx : note ZQFP1234: other kind")]
    public void Other_lines_are_no_diagnostics(string line) => Assert.Null(ToolDiagnostic.Parse(line));
}
