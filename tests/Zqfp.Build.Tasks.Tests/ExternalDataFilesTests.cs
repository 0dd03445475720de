using System.Text;

namespace Zqfp.Build.Tasks.Tests;

public sealed class ExternalDataFilesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Finds_the_file_of_the_sample_model()
    {
        string model = Repository.Path("samples/ModelProject/model/model.onnx");

        Assert.Equal([Path.GetFullPath(model) + ".data"], ExternalDataFiles.Of(Path.GetFullPath(model)));
    }

    [Fact]
    public void Finds_each_file_once_wherever_the_tensor_is()
    {
        byte[] inGraph = Field(7, Field(5, Tensor("b.bin")), Field(5, Tensor("a.bin")), Field(5, Tensor("b.bin")));
        byte[] inNode = Field(7, Field(1, Field(5, Field(5, Tensor("constant.bin")))));
        byte[] inBranch = Field(7, Field(1, Field(5, Field(6, Field(5, Tensor("branch.bin"))))));
        byte[] inFunction = Field(25, Field(7, Field(5, Field(10, Tensor("function.bin")))));
        byte[] inDefault = Field(25, Field(11, Field(5, Tensor("default.bin"))));
        byte[] inTraining = Field(20, Field(2, Field(5, Tensor("training.bin"))));
        byte[] sparse = Field(7, Field(15, Field(1, Tensor("values.bin")), Field(2, Tensor("indices.bin"))));

        Assert.Equal(["a.bin", "b.bin", "branch.bin", "constant.bin", "default.bin", "function.bin", "indices.bin", "training.bin",
            "values.bin"],
            Names(inGraph, inNode, inBranch, inFunction, inDefault, inTraining, sparse));
    }

    [Fact]
    public void Names_that_lead_out_of_the_models_folder_or_to_a_folder_are_left_out()
    {
        string[] outside = ["/dev/zero", "../a.bin", "sub/../../a.bin", "..", ".", "./", "", "sub\\..\\..\\a.bin", "a\0b"];
        Assert.Empty(Names([.. outside.Select(name => Field(7, Field(5, Tensor(name))))]));
        Assert.Equal(["..b", "a.bin"],
            Names(Field(7, Field(5, Tensor("sub/a.bin")), Field(5, Tensor("..b")))).Order(StringComparer.Ordinal));
    }

    [UnixFact]
    public void A_pipe_or_a_device_in_the_place_of_the_model_is_not_opened()
    {
        string pipe = Path.Combine(_folder.Path, "pipe.onnx");
        using (System.Diagnostics.Process make = System.Diagnostics.Process.Start("mkfifo", [pipe]))
        {
            make.WaitForExit();
        }

        Assert.Empty(ExternalDataFiles.Of(pipe));
        Assert.Empty(ExternalDataFiles.Of("/dev/zero"));
    }

    [Fact]
    public void Steps_over_weights_inside_the_model()
    {
        byte[] weights = Field(9, Encoding.UTF8.GetBytes(new string('x', 100_000)));

        Assert.Equal(["after.bin"], Names(Field(7, Field(5, weights), Field(5, Tensor("after.bin")))));
    }

    [Fact]
    public void A_truncated_model_yields_what_was_found_until_then()
    {
        byte[] whole = Field(7, Field(5, Tensor("a.bin")), Field(5, Tensor("b.bin")));

        Assert.Empty(Names(whole[..^3]));
        Assert.Equal(["a.bin"], Names(Field(7, Field(5, Tensor("a.bin"))), [0x3A, 0x05, 0x01]));
    }

    [Fact]
    public void Random_bytes_are_no_obstacle()
    {
        var random = new Random(1);
        for (int i = 0; i < 2000; i++)
        {
            byte[] bytes = new byte[random.Next(200)];
            random.NextBytes(bytes);
            Names(bytes);
        }
    }

    [Fact]
    public void Endless_nesting_is_no_obstacle()
    {
        byte[] graph = Field(5, Tensor("deep.bin"));
        for (int i = 0; i < 2000; i++)
        {
            graph = Field(1, Field(5, Field(6, graph)));
        }

        Assert.Empty(Names(Field(7, graph)));
    }

    [Fact]
    public void A_missing_model_has_none() => Assert.Empty(ExternalDataFiles.Of(Path.Combine(_folder.Path, "nowhere.onnx")));

    public void Dispose() => _folder.Dispose();

    private static byte[] Tensor(string location) =>
        Field(13, Field(1, Encoding.UTF8.GetBytes("location")), Field(2, Encoding.UTF8.GetBytes(location)))
            .Concat(Field(13, Field(1, Encoding.UTF8.GetBytes("offset")), Field(2, Encoding.UTF8.GetBytes("4096"))))
            .ToArray();

    private static byte[] Field(int number, params byte[][] parts)
    {
        byte[] content = [.. parts.SelectMany(part => part)];
        return [.. Varint((number << 3) | 2), .. Varint(content.Length), .. content];
    }

    private static IEnumerable<byte> Varint(int value)
    {
        for (; value >= 0x80; value >>= 7)
        {
            yield return (byte)(value | 0x80);
        }

        yield return (byte)value;
    }

    private string[] Names(params byte[][] parts)
    {
        string model = Path.Combine(_folder.Path, "model.onnx");
        File.WriteAllBytes(model, [.. parts.SelectMany(part => part)]);
        return [.. ExternalDataFiles.Of(model).Select(file => Path.GetFileName(file))];
    }
}
