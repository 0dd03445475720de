using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter.Tests;

public sealed class HostileModelTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_missing_file_is_ZQFP0001() => AssertCode("ZQFP0001", () => OnnxFile.Open(_folder.File("none.onnx")));

    [Fact]
    public void A_folder_is_ZQFP0001() => AssertCode("ZQFP0001", () => OnnxFile.Open(_folder.Path));

    [Fact]
    public void Every_truncation_ends_in_ZQFP1001_or_a_smaller_model()
    {
        byte[] whole = GraphBuilder.Decoder().Model.ToByteArray();
        for (int length = 0; length < whole.Length; length += 7)
        {
            string path = _folder.File("cut.onnx");
            File.WriteAllBytes(path, whole[..length]);
            try
            {
                OnnxFile.Open(path).Dispose();
            }
            catch (ZqfpException e)
            {
                Assert.Equal("ZQFP1001", e.Code);
            }
        }
    }

    [Fact]
    public void Text_is_ZQFP1001()
    {
        File.WriteAllText(_folder.File("text.onnx"), "This is not a model.");
        AssertCode("ZQFP1001", () => OnnxFile.Open(_folder.File("text.onnx")));
    }

    [Fact]
    public void A_length_of_2_GB_is_ZQFP1001()
    {
        File.WriteAllBytes(_folder.File("huge.onnx"), [0x3A, 0xFF, 0xFF, 0xFF, 0xFF, 0x07, 1, 2, 3]);
        AssertCode("ZQFP1001", () => OnnxFile.Open(_folder.File("huge.onnx")));
    }

    [Theory]
    [InlineData("../weights", "0", "16")]
    [InlineData("/etc/hostname", "0", "16")]
    [InlineData("sub/../../weights", "0", "16")]
    [InlineData("absent", "0", "16")]
    [InlineData("", "0", "16")]
    [InlineData("data", "8", "16")]
    [InlineData("data", "9223372036854775807", "16")]
    [InlineData("data", "-1", "16")]
    [InlineData("data", "zero", "16")]
    public void External_data_outside_the_folder_or_the_file_is_ZQFP1002(string location, string offset, string length)
    {
        File.WriteAllBytes(_folder.File("data"), new byte[16]);
        AssertCode("ZQFP1002", () => ReadExternal([2, 2], location, offset, length));
    }

    [Fact]
    public void A_link_that_leaves_the_folder_is_ZQFP1002()
    {
        using var elsewhere = new TemporaryFolder();
        File.WriteAllBytes(elsewhere.File("data"), new byte[16]);
        File.CreateSymbolicLink(_folder.File("link"), elsewhere.File("data"));
        AssertCode("ZQFP1002", () => ReadExternal([2, 2], "link", "0", "16"));
    }

    [Theory]
    [InlineData("12", 2, 2)]
    [InlineData("16", -2, -2)]
    [InlineData("16", 4611686018427387904, 4)]
    public void A_shape_that_does_not_fit_the_data_is_ZQFP1003(string length, long rows, long columns)
    {
        File.WriteAllBytes(_folder.File("data"), new byte[16]);
        AssertCode("ZQFP1003", () => ReadExternal([rows, columns], "data", "0", length));
    }

    [Fact]
    public void External_data_wherever_a_tensor_can_be_is_ZQFP1011()
    {
        var tensor = new TensorProto
        {
            Name = "inside",
            DataType = (int)DataType.Float,
            Dims = { 4 },
            DataLocation = DataLocation.External,
        };
        var indices = new TensorProto { DataType = (int)DataType.Int64, Dims = { 0 } };
        AttributeProto[] attributes =
        [
            new() { Name = "a", T = tensor },
            new() { Name = "a", Tensors = { tensor } },
            new() { Name = "a", SparseTensor = new SparseTensorProto { Values = tensor, Indices = indices } },
            new() { Name = "a", SparseTensor = new SparseTensorProto { Values = indices, Indices = tensor } },
            new() { Name = "a", SparseTensors = { new SparseTensorProto { Values = tensor, Indices = indices } } },
            new() { Name = "a", Graphs = { new GraphProto { Initializer = { tensor } } } },
        ];
        foreach (AttributeProto attribute in attributes)
        {
            GraphBuilder inNode = GraphBuilder.Decoder();
            inNode.Node("Any", ["x"], "made", attribute);
            AssertCode("ZQFP1011", () => OnnxFile.Open(_folder.Write("m.onnx", inNode.Model)));
            GraphBuilder inDefault = GraphBuilder.Decoder();
            inDefault.Model.Functions.Add(new FunctionProto
            {
                Name = "f",
                Domain = "d",
                OpsetImport = { new OperatorSetIdProto { Version = 1 } },
                AttributeProto = { attribute },
            });
            AssertCode("ZQFP1011", () => OnnxFile.Open(_folder.Write("m.onnx", inDefault.Model)));
        }

        GraphBuilder training = GraphBuilder.Decoder();
        training.Model.TrainingInfo.Add(new TrainingInfoProto { Algorithm = new GraphProto { Initializer = { tensor } } });
        AssertCode("ZQFP1011", () => OnnxFile.Open(_folder.Write("m.onnx", training.Model)));
    }

    [Fact]
    public void External_data_inside_a_node_is_ZQFP1011()
    {
        GraphBuilder builder = GraphBuilder.Decoder();
        var tensor = new TensorProto
        {
            Name = "inside",
            DataType = (int)DataType.Float,
            Dims = { 4 },
            DataLocation = DataLocation.External,
        };
        var body = new GraphProto { Name = "body", Initializer = { tensor } };
        builder.Node(
            "If", ["x"], "chosen", new AttributeProto { Name = "then_branch", G = body, Type = AttributeProto.Types.AttributeType.Graph });
        AssertCode("ZQFP1011", () => OnnxFile.Open(_folder.Write("m.onnx", builder.Model)));
    }

    [Fact]
    public void An_input_of_2_to_the_31_columns_is_ZQFP1020()
    {
        GraphBuilder builder = GraphBuilder.Decoder();
        builder.Graph.Input[0].Type.TensorType.Shape.Dim[1].DimValue = 1L << 31;
        AssertCode("ZQFP1020", () => OnnxFile.Open(_folder.Write("m.onnx", builder.Model)));
    }

    [Theory]
    [InlineData("has 0 inputs")]
    [InlineData("has no input 0")]
    [InlineData("makes nothing")]
    [InlineData("as String, which has to be Ints")]
    [InlineData("[0, 0], which is no order")]
    [InlineData("no attribute 'to'")]
    [InlineData("no attribute 'then_branch'")]
    [InlineData("no attribute 'value'")]
    [InlineData("has 1 input, and MatMul needs 2")]
    [InlineData("without content")]
    public void A_malformed_node_is_ZQFP1021_and_is_named(string fault)
    {
        GraphBuilder builder = GraphBuilder.Decoder();
        NodeProto node = builder.Graph.Node.First(node => node.OpType == "Transpose");
        switch (fault)
        {
            case "has 0 inputs":
                node.Input.Clear();
                break;
            case "has no input 0":
                node.Input[0] = string.Empty;
                break;
            case "makes nothing":
                node.Output.Clear();
                break;
            case "as String, which has to be Ints":
                node.Attribute[0].Type = AttributeProto.Types.AttributeType.String;
                break;
            case "[0, 0], which is no order":
                node.Attribute[0].Ints[0] = 0;
                break;
            case "without content":
                node.Attribute.Add(new AttributeProto { Name = "value", Type = AttributeProto.Types.AttributeType.Tensor });
                break;
            default:
                node.OpType = fault switch
                {
                    "no attribute 'to'" => "Cast",
                    "no attribute 'then_branch'" => "If",
                    "no attribute 'value'" => "Constant",
                    _ => "MatMul",
                };
                break;
        }

        ZqfpException error = Assert.Throws<ZqfpException>(() => OnnxFile.Open(_folder.Write("m.onnx", builder.Model)));
        Assert.Equal("ZQFP1021", error.Code);
        Assert.Contains(fault, error.Message, StringComparison.Ordinal);
        Assert.Contains("'n_o_t'", error.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void A_cycle_is_ZQFP1004() => AssertCode(
        "ZQFP1004", () => Index(new GraphBuilder().Node("Relu", ["b"], "a").Node("Relu", ["a"], "b")));

    [Fact]
    public void A_value_nobody_makes_is_ZQFP1004() => AssertCode(
        "ZQFP1004", () => Index(new GraphBuilder().Node("Relu", ["nowhere"], "a")));

    [Fact]
    public void A_value_made_twice_is_ZQFP1004() =>
        AssertCode("ZQFP1004", () => Index(new GraphBuilder().Input("x", 1).Node("Relu", ["x"], "a").Node("Relu", ["x"], "a")));

    [Fact]
    public void Two_initializers_of_one_name_are_ZQFP1004() =>
        AssertCode("ZQFP1004", () => Index(new GraphBuilder().Weight("w", [1]).Weight("w", [1])));

    private void ReadExternal(long[] dims, string location, string offset, string length)
    {
        ModelProto model = GraphBuilder.Decoder().Model;
        var tensor = new TensorProto { Name = "w", DataType = (int)DataType.Float, Dims = { dims }, DataLocation = DataLocation.External };
        foreach ((string key, string value) in new[] { ("location", location), ("offset", offset), ("length", length) })
        {
            tensor.ExternalData.Add(new StringStringEntryProto { Key = key, Value = value });
        }

        using OnnxFile file = OnnxFile.Open(_folder.Write("m.onnx", model));
        file.Read(tensor);
    }

    private static GraphIndex Index(GraphBuilder builder) => new(builder.Graph, "test.onnx");

    private static void AssertCode(string code, Action action) => Assert.Equal(code, Assert.Throws<ZqfpException>(action).Code);
}
